"""A real Kafka of one broker, without containers: Java and the jars that ``make kafka`` fetches."""

from __future__ import annotations

import base64
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Final

LIBRARY_VARIABLE: Final = "SINS_KAFKA_LIB"
DEFAULT_LIBRARY: Final = Path(__file__).resolve().parent.parent / ".sins" / "kafka" / "lib"
LEAST_JAVA: Final = 17
START_SECONDS: Final = 180  # it takes five, but not where others want the processors, too
STOP_SECONDS: Final = 20
# Half the work to start; what runs for days would want the other compiler, too.
OPTIONS: Final = ("-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")

PROPERTIES: Final = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}{doors}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}{ways}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT{kinds}
log.dirs={directory}/data
num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.cleanup.policy=delete
"""
CLUSTER_ID: Final = "cluster.id="


class KafkaError(Exception):
    """Kafka cannot be used; the message is a sentence for a person."""


class KafkaServer:
    """One broker with its data in ``directory``, reachable at 127.0.0.1:``port``.

    What it holds survives ``stop`` and ``kill``; ``start`` goes on with it. Only the broker itself
    connects to ``controller_port``. ``doors`` are further ports: who comes through one is told to
    connect to its second port, behind which a test may have a network of its own lead to the first.
    """

    def __init__(
        self,
        directory: Path,
        port: int,
        controller_port: int,
        doors: Sequence[tuple[int, int]] = (),
    ) -> None:
        self.directory = directory.absolute()
        self._data = self.directory / "data"
        self.port = port
        self._controller_port = controller_port
        self._doors = doors
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """The address clients connect to."""
        return f"127.0.0.1:{self.port}"

    @property
    def cluster_id(self) -> str:
        """Which cluster it is; after ``wipe`` another one begins."""
        text = (self._data / "meta.properties").read_text(encoding="utf-8")
        return next(
            line.removeprefix(CLUSTER_ID) for line in text.splitlines() if CLUSTER_ID in line
        )

    @property
    def pid(self) -> int | None:
        """The broker's process id; ``None`` when it does not run."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> int:
        """Start the broker, wait until it takes connections, and return its process id."""
        if self.pid is not None:
            return self.pid
        command = [java(), *OPTIONS, "-cp", f"{library()}/*"]
        self._prepare(command)
        with (self.directory / "kafka.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own Java and jars
                [*command, "kafka.Kafka", str(self.directory / "server.properties")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._wait_until_it_answers(self._process)
        except KafkaError:
            self.kill()
            raise
        return self._process.pid

    def stop(self) -> None:
        """Stop the broker in order; kill it if that takes too long."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the broker at once, as a crash would."""
        self._end(signal.SIGKILL)

    def wipe(self) -> None:
        """End the broker at once and delete all it holds; ``start`` begins another cluster."""
        self.kill()
        shutil.rmtree(self._data, ignore_errors=True)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(number)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _prepare(self, command: list[str]) -> None:
        """Write the configuration, and format the storage where there is none."""
        self.directory.mkdir(parents=True, exist_ok=True)
        configuration = self.directory / "server.properties"
        # Each time: its data may lie there since a run that had other ports.
        configuration.write_text(self._properties(), encoding="utf-8")
        if (self._data / "meta.properties").exists():
            return
        cluster_id = new_cluster_id()
        done = subprocess.run(  # noqa: S603 - our own Java and jars
            [*command, "kafka.tools.StorageTool", "format", "--ignore-formatted",
             "-t", cluster_id, "-c", str(configuration)],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
        if done.returncode != 0:
            last = done.stdout.decode(errors="replace").strip().splitlines()[-1:]
            raise KafkaError(f"Kafka cannot prepare {self.directory}: {' '.join(last)}")

    def _properties(self) -> str:
        doors = list(enumerate(self._doors, start=1))
        return PROPERTIES.format(
            port=self.port,
            controller_port=self._controller_port,
            directory=self.directory,
            doors="".join(f",DOOR{n}://127.0.0.1:{port}" for n, (port, _) in doors),
            ways="".join(f",DOOR{n}://127.0.0.1:{way}" for n, (_, way) in doors),
            kinds="".join(f",DOOR{n}:PLAINTEXT" for n, _ in doors),
        )

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            with socket.socket() as probe:
                probe.settimeout(1)
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        raise KafkaError(f"Kafka did not start; see {self.directory / 'kafka.log'}.")


def new_cluster_id() -> str:
    """Return an id for a new cluster; Kafka's own tool takes one that begins with - for a flag."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text


def library() -> Path:
    """Return the directory with Kafka's jars; ``KafkaError`` if it has none."""
    directory = Path(os.environ.get(LIBRARY_VARIABLE) or DEFAULT_LIBRARY)
    if not any(directory.glob("kafka_2.13-*.jar")):
        raise KafkaError(
            f"Kafka's jars are not in {directory}: run `make kafka` once (it needs Maven), "
            f"or set {LIBRARY_VARIABLE}."
        )
    return directory


def java() -> str:
    """Return the Java to run Kafka with; ``KafkaError`` if there is none or it is too old."""
    home = os.environ.get("JAVA_HOME")
    program = shutil.which("java", path=f"{home}/bin") if home else None
    program = program or shutil.which("java")
    if program is None:
        raise KafkaError(f"Kafka needs Java {LEAST_JAVA} or later, and there is no java here.")
    done = subprocess.run(  # noqa: S603 - the java that was found
        [program, "-version"], check=False, capture_output=True, text=True
    )
    found = re.search(r'version "(\d+)', done.stderr + done.stdout)
    if found is None or int(found[1]) < LEAST_JAVA:
        raise KafkaError(f"Kafka needs Java {LEAST_JAVA} or later; {program} is older.")
    return program
