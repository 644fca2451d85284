"""The processes of a demo: how each is started, seen to live, and ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from ops.demo.places import BROKER, CHECKOUT, DemoError
from ops.kafka_server import KafkaError, KafkaServer
from ops.postgres import Cluster, PostgresError

STOP_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 20.0


class Part(Protocol):
    """One process that is started, watched and ended."""

    name: str
    location: str | None

    @property
    def pid(self) -> int | None:
        """Its process id; ``None`` when it does not run."""

    def start(self) -> None:
        """Start it; ``DemoError`` if it cannot be."""

    def ask_to_stop(self) -> None:
        """Begin to end it."""

    def stop(self) -> None:
        """End it, and whatever it started."""

    def ending(self) -> str:
        """How it ended, in words."""


class Program:
    """A command in a process group of its own; its output goes to ``log``."""

    def __init__(
        self,
        name: str,
        location: str | None,
        command: Sequence[str],
        environment: Callable[[], Mapping[str, str]],
        log: Path,
    ) -> None:
        self.name = name
        self.location = location
        self._command = list(command)
        self._environment = environment
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Its process id; ``None`` when it does not run."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> None:
        """Start it, after ending what a former run left of its group."""
        self._end_group()
        self._log.parent.mkdir(parents=True, exist_ok=True)
        leash = [sys.executable, "-m", "ops.demo.leash", str(os.getpid())]
        with open_log(self._log) as log:
            self._process = subprocess.Popen(  # noqa: S603 - the demo's own commands
                [*leash, *self._command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=CHECKOUT,
                env=dict(self._environment()),
                start_new_session=True,
            )

    def ask_to_stop(self) -> None:
        """Begin to end it."""
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)

    def stop(self) -> None:
        """End it and its group; kill what does not end in time."""
        if self._process is None:
            return
        self.ask_to_stop()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        self._end_group()

    def kill(self) -> None:
        """End it and its group at once, as a crash would."""
        self._end_group()

    def ending(self) -> str:
        """How it ended, in words."""
        code = self._process.returncode if self._process is not None else None
        if code is not None and code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        return f"ended with {code}; see {self._log}"

    def _end_group(self) -> None:
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def open_log(path: Path) -> BinaryIO:
    """Open a log to be gone on with; for its owner alone, whatever a process may print."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab")


class Postgres:
    """A location's PostgreSQL, which detaches itself from who starts it."""

    name = "postgres"

    def __init__(self, location: str, cluster: Cluster) -> None:
        self.location: str | None = location
        self._cluster = cluster

    @property
    def pid(self) -> int | None:
        """Its process id; ``None`` when it does not run."""
        return self._cluster.running_pid()

    def start(self) -> None:
        """Make the cluster if there is none, and start its server."""
        try:
            self._cluster.create()
            self._cluster.start()
        except PostgresError as exc:
            raise DemoError(str(exc)) from exc

    def ask_to_stop(self) -> None:
        """Nothing: it is stopped when nobody uses it any more."""

    def stop(self) -> None:
        """Stop the server."""
        self._cluster.stop()

    def ending(self) -> str:
        """How it ended, in words."""
        return f"ended; see {self._cluster.log_path}"


class Broker(Program):
    """The embedded broker: it holds nothing on disk, and has another address at each start."""

    def __init__(
        self, environment: Callable[[], Mapping[str, str]], address: Path, log: Path
    ) -> None:
        command = [sys.executable, "-m", "ops.broker", "--port-file", str(address)]
        super().__init__(BROKER, None, command, environment, log)
        self._address = address

    @property
    def bootstrap(self) -> str:
        """Where it answers now."""
        return self._address.read_text(encoding="ascii").strip()

    def start(self) -> None:
        """Start it and wait until it says where it answers."""
        self._address.unlink(missing_ok=True)
        super().start()
        deadline = time.monotonic() + ANSWER_SECONDS
        while not self._address.exists() or not self.bootstrap:
            if self.pid is None or time.monotonic() > deadline:
                self.stop()
                raise DemoError(f"The embedded broker {self.ending()}.")
            time.sleep(0.05)


class Kafka:
    """A real Kafka; it keeps its data and its address."""

    name = BROKER
    location: str | None = None

    def __init__(self, server: KafkaServer) -> None:
        self._server = server

    @property
    def bootstrap(self) -> str:
        """Where it answers."""
        return self._server.bootstrap

    @property
    def cluster_id(self) -> str:
        """Which cluster it is: a wiped one begins another."""
        return self._server.cluster_id

    @property
    def pid(self) -> int | None:
        """Its process id; ``None`` when it does not run."""
        return self._server.pid

    def start(self) -> None:
        """Start it and wait until it answers."""
        try:
            self._server.start()
        except KafkaError as exc:
            raise DemoError(str(exc)) from exc

    def ask_to_stop(self) -> None:
        """Nothing: it is stopped when nobody uses it any more."""

    def stop(self) -> None:
        """Stop it."""
        self._server.stop()

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._server.kill()

    def wipe(self) -> None:
        """End it at once, with all it holds."""
        self._server.wipe()

    def ending(self) -> str:
        """How it ended, in words."""
        return f"ended; see {self._server.directory / 'kafka.log'}"
