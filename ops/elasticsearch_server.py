"""A real Elasticsearch of one node, without containers: a JDK and what ``make elasticsearch`` gets.

It refuses to run as root: see ``ops.unprivileged``. Of the REST API it lacks what comes in modules:
``GET /``, ILM, ingest processors, scripts, ES|QL, users and roles; so Kibana does not run on it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import httpx

from ops.ports import free_port
from ops.unprivileged import (
    give_away,
    home_of,
    is_running,
    link_home,
    reachable,
    run_unprivileged,
    running_pid,
)

HOME_VARIABLE: Final = "SINS_ELASTICSEARCH"
DEFAULT_HOME: Final = Path(__file__).resolve().parent.parent / ".sins" / "elasticsearch"
JAVA_HOMES: Final = Path("/usr/lib/jvm")
LEAST_JAVA: Final = 21
DEBUGGER: Final = "jdk.jdi"  # in a JDK and in no JRE; Elasticsearch does not start without it
HEAP: Final = "512m"
STOP_SECONDS: Final = 20
ANSWER_SECONDS: Final = 60

CONFIGURATION: Final = """\
cluster.name: sins
discovery.type: single-node
xpack.security.enabled: false
network.host: 127.0.0.1
http.port: {port}
transport.port: {transport_port}
path.data: {home}/data
path.logs: {home}/logs
cluster.routing.allocation.disk.threshold_enabled: false
"""


class ElasticsearchError(Exception):
    """Elasticsearch cannot be used; the message is a sentence for a person."""


class ElasticsearchServer:
    """One node with its data in ``directory``, reachable at 127.0.0.1:``port``.

    What it holds survives ``stop`` and ``kill``; ``start`` goes on with it.
    """

    def __init__(self, directory: Path, port: int) -> None:
        self.directory = directory.absolute()
        self.port = port

    @property
    def url(self) -> str:
        """The address clients connect to."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def home(self) -> Path:
        """Where configuration, data and logs really lie."""
        return home_of(self.directory)

    @property
    def pid(self) -> int | None:
        """The node's process id; ``None`` when it does not run."""
        return running_pid(self.home / "pid", self.home)

    def start(self) -> int:
        """Start the node, wait until it can be written to, and return its process id."""
        found = self.pid
        if found is not None:
            return found
        jdk, program = java_home(), programs() / "bin" / "elasticsearch"
        self._prepare(programs() / "config")
        (self.home / "pid").unlink(missing_ok=True)
        done = run_unprivileged(
            [str(program), "--daemonize", "--pidfile", str(self.home / "pid")],
            {
                "ES_JAVA_HOME": str(jdk),
                "ES_JAVA_OPTS": f"-Xms{HEAP} -Xmx{HEAP}",
                "ES_PATH_CONF": str(self.home / "config"),
                "ES_TMPDIR": str(self.home / "tmp"),
            },
        )
        found = self.pid
        if done.returncode != 0 or found is None:
            last = " ".join(done.stdout.strip().splitlines()[-1:])
            raise ElasticsearchError(f"Elasticsearch did not start: {last}; see {self.home}/logs.")
        self._wait_until_it_answers()
        return found

    def stop(self) -> None:
        """Stop the node in order; kill it if that takes too long."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the node at once, as a crash would."""
        self._end(signal.SIGKILL)

    def destroy(self) -> None:
        """End the node and delete all it holds."""
        self.kill()
        shutil.rmtree(self.home, ignore_errors=True)
        if self.directory.is_symlink():
            self.directory.unlink()

    def _end(self, number: signal.Signals) -> None:
        found = self.pid
        deadline = time.monotonic() + STOP_SECONDS
        while found is not None and is_running(found, self.home):
            with contextlib.suppress(ProcessLookupError):
                os.kill(found, signal.SIGKILL if time.monotonic() > deadline else number)
            time.sleep(0.05)

    def _prepare(self, defaults: Path) -> None:
        """Make the places it writes to, and its configuration, where there are none."""
        if (self.home / "config" / "elasticsearch.yml").exists():
            return
        for name in ("config", "data", "logs", "tmp"):
            (self.home / name).mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in ("jvm.options", "log4j2.properties"):
            shutil.copyfile(defaults / name, self.home / "config" / name)
        text = CONFIGURATION.format(port=self.port, transport_port=free_port(), home=self.home)
        (self.home / "config" / "elasticsearch.yml").write_text(text, encoding="utf-8")
        for path in (self.home, *self.home.rglob("*")):
            give_away(path)
        link_home(self.directory)

    def _wait_until_it_answers(self) -> None:
        path = f"{self.url}/_cluster/health?wait_for_status=yellow"
        deadline = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < deadline:
            try:
                if httpx.get(path, timeout=ANSWER_SECONDS, trust_env=False).is_success:
                    return
            except httpx.HTTPError:
                time.sleep(0.1)
        self.kill()
        raise ElasticsearchError(f"Elasticsearch did not answer; see {self.home}/logs.")


@cache
def programs() -> Path:
    """Return where Elasticsearch lies; ``ElasticsearchError`` if it has not been fetched."""
    directory = Path(os.environ.get(HOME_VARIABLE) or DEFAULT_HOME)
    found = sorted(directory.glob("elasticsearch-*/bin/elasticsearch"))
    if not found:
        raise ElasticsearchError(
            f"Elasticsearch is not in {directory}: run `make elasticsearch` once (it needs Maven), "
            f"or set {HOME_VARIABLE}."
        )
    home = found[-1].parent.parent
    return reachable(home, home.name, ["/usr/bin/test", "-x", str(found[-1])])


@cache
def java_home() -> Path:
    """Return a JDK to run Elasticsearch with; ``ElasticsearchError`` if there is none."""
    for home in _java_homes():
        try:
            said = run_unprivileged([str(home / "bin" / "java"), "--list-modules"]).stdout
        except OSError:
            continue  # not there, or not for that user
        version = re.search(r"^java\.base@(\d+)", said, re.MULTILINE)
        if version and int(version[1]) >= LEAST_JAVA and f"{DEBUGGER}@" in said:
            return home
    raise ElasticsearchError(
        f"Elasticsearch needs a full JDK {LEAST_JAVA} or later (a JRE does not do): set JAVA_HOME, "
        "or install one; on Debian 13 and later: apt-get install openjdk-21-jdk-headless"
    )


def _java_homes() -> Iterator[Path]:
    """Yield where Java may be: what is named, what is installed, what is on the path."""
    if os.environ.get("JAVA_HOME"):
        yield Path(os.environ["JAVA_HOME"])
    yield from sorted(JAVA_HOMES.glob("*"), reverse=True)
    found = shutil.which("java")
    if found is not None:
        yield Path(found).resolve().parent.parent
