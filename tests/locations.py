"""Complete locations for a test: each its own database, environment and real processes.

Locations reach each other over links that can be cut, as in the demo; a location that is cut is
off Kafka, too, while its pages and its API go on.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path
from typing import Any

import httpx
import psycopg

from events import chain
from ops.databases import DatabaseUrls
from ops.demo.links import Link, Network
from ops.demo.parts import Broker, Program
from ops.ports import free_port
from tests.databases import TestDatabases
from tests.environment import ENVIRONMENT, test_key

CHECKOUT = Path(__file__).resolve().parent.parent
NOWHERE = "127.0.0.1:1"
PROGRAMS = ("web", "sequencer", "consumer")
ROLES = ("agent", "provider", "customer", "admin")
TOKENS = {role: f"sins_{role:A<43}" for role in ROLES}
START_SECONDS = 60
EQUAL_SECONDS = 60


@dataclass
class Location:
    """One location: where it answers, how its processes are, what its database holds."""

    name: str
    port: int
    database: DatabaseUrls
    environment: dict[str, str]
    directory: Path
    programs: dict[str, Program] = field(default_factory=dict)
    is_cut: bool = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def api(self, role: str = "agent") -> httpx.Client:
        """Return a client of the API that speaks for a member with that role."""
        headers = {"Authorization": f"Token {TOKENS[role]}"}
        return httpx.Client(
            base_url=f"{self.url}/api/v1", headers=headers, timeout=30, trust_env=False
        )

    def rows(self, statement: Any, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return what a query finds in the location's database."""
        with psycopg.connect(self.database.owner, autocommit=True) as connection:
            return connection.execute(statement, values).fetchall()

    def heads(self) -> dict[str, tuple[int, str]]:
        """Return ``{origin: (number, chain value)}`` as they are here, with what is unnumbered."""
        # In one snapshot: what is numbered between two statements would be seen by neither.
        (found,) = self.rows(
            "SELECT (SELECT count(*) FROM events_outbox), ARRAY("
            " SELECT DISTINCT ON (origin) ARRAY[origin::text, seq::text, encode(chain, 'hex')]"
            " FROM events_eventnumber ORDER BY origin, epoch DESC, seq DESC)"
        )
        waiting, heads = found
        numbered = {origin: (int(seq), value) for origin, seq, value in heads}
        return {**numbered, "": (waiting, "")} if waiting else numbered

    def manage(self, *arguments: str, stdin: str = "", codes: Sequence[int] = (0,)) -> str:
        """Run a management command here; it ends with one of ``codes``. Return what it prints."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments], cwd=CHECKOUT, env=self.environment,
            input=stdin, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode in codes, done.stderr
        return done.stdout

    def status(self) -> dict[str, Any]:
        """Return what ``sync_status`` says."""
        return json.loads(self.manage("sync_status", "--json", codes=(0, 1)))

    def log(self, program: str) -> str:
        """Return what a process has logged."""
        return (self.directory / f"{program}.log").read_text()

    def log_lines(self, program: str, event: str) -> list[dict[str, Any]]:
        """Return the log lines of one event name."""
        lines = (json.loads(line) for line in self.log(program).splitlines() if line[:1] == "{")
        return [line for line in lines if line.get("event") == event]


class Locations:
    """Locations that know each other; started together, ended together."""

    def __init__(self, databases: TestDatabases, names: Sequence[str], directory: Path) -> None:
        self._databases = databases
        self._directory = directory
        self.bootstrap = ""
        ports = {name: free_port() for name in names}
        self.network = Network(
            Link(sender, receiver, free_port(), ports[receiver])
            for sender, receiver in permutations(names, 2)
        )
        self.all = {
            name: self._location(name, ports[name], self.network.peers_of(name)) for name in names
        }

    def __getitem__(self, name: str) -> Location:
        return self.all[name]

    def start(self) -> None:
        """Start all processes; returns when every location serves."""
        self.network.start()
        self._start(*self.all.values())

    def create(self, name: str) -> Location:
        """Return one more location that knows nobody and is not started."""
        return self._location(name, free_port(), {})

    def join(self, location: Location, peers: dict[str, Any]) -> None:
        """Start a new location that knows these peers; the others reach it without a link."""
        location.environment["PEERS"] = json.dumps(peers)
        self.all[location.name] = location
        self._start(location)

    def restart(self, location: Location) -> None:
        """Start the processes of a location again, with the environment it has now."""
        for program in location.programs.values():
            program.stop()
        for name in PROGRAMS:
            self.start_program(location, name)
        wait_until(lambda: serves(location), START_SECONDS, "location serves")

    def _start(self, *started: Location) -> None:
        for location in started:
            location.manage("create_demo_members")
            for name in PROGRAMS:
                self.start_program(location, name)
        wait_until(lambda: all(map(serves, started)), START_SECONDS, "locations serve")

    def start_program(self, location: Location, name: str) -> None:
        """Start one process of a location."""
        python = [sys.executable, "manage.py"]
        command = {
            "web": web_server(location.port),
            "sequencer": [*python, "run_sequencer"],
            "consumer": [*python, "consume_events"],
        }[name]
        log = location.directory / f"{name}.log"
        program = Program(name, location.name, command, lambda: self._child(location), log)
        location.programs[name] = program
        program.start()

    def stop(self) -> None:
        """End everything."""
        programs = [p for location in self.all.values() for p in location.programs.values()]
        for program in programs:
            program.ask_to_stop()
        for program in programs:
            program.stop()
        self.network.stop()
        for location in self.all.values():
            self._databases.drop(location.database)

    def cut(self, name: str) -> None:
        """Take a location off the network of the others, links and Kafka."""
        self._set_cut(self[name], True)

    def heal(self, name: str) -> None:
        """Bring it back."""
        self._set_cut(self[name], False)

    def wait_until_equal(self, seconds: float = EQUAL_SECONDS) -> float:
        """Wait until every location has the same numbers and chains; return the seconds."""

        def are_equal() -> bool:
            found = [location.heads() for location in self.all.values()]
            return all(heads == found[0] for heads in found) and "" not in found[0]

        return wait_until(are_equal, seconds, lambda: str([x.heads() for x in self.all.values()]))

    def digests(self) -> list[str]:
        """Return the state digest of each location, taken now."""
        return [json.loads(x.manage("state_digest"))["value"] for x in self.all.values()]

    def _set_cut(self, location: Location, is_cut: bool) -> None:
        location.is_cut = is_cut
        self.network.set_cut(location.name, is_cut)
        if self.bootstrap:
            for name in ("sequencer", "consumer"):
                location.programs[name].stop()
                location.programs[name].start()

    def _child(self, location: Location) -> dict[str, str]:
        bootstrap = NOWHERE if location.is_cut and self.bootstrap else self.bootstrap
        return {**location.environment, "KAFKA_BOOTSTRAP": bootstrap}

    def _location(self, name: str, port: int, urls: dict[str, str]) -> Location:
        directory = self._directory / name
        directory.mkdir(parents=True)
        database = self._databases.copy()
        peers = {peer: {"url": url, "public_key": public_key(peer)} for peer, url in urls.items()}
        environment = {
            **{key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ},
            **ENVIRONMENT,
            "DJANGO_SETTINGS_MODULE": "sins.settings",
            "PYTHONUNBUFFERED": "1",
            "LOCATION_ID": name,
            "SECRET_KEY": f"only-for-tests-at-{name}-" * 3,
            "LOCATION_KEY": test_key(f"location key of {name}"),
            "DATABASE_URL": database.application,
            "DATABASE_OWNER_URL": database.owner,
            "DATABASE_POOL_SIZE": "4",
            "PUBLIC_URL": f"http://127.0.0.1:{port}",
            "PEERS": json.dumps(peers),
            "DEMO_MEMBERS": json.dumps(
                {role: {"password": f"{role} of {name}", "token": TOKENS[role]} for role in ROLES}
            ),
        }
        return Location(name, port, database, environment, directory)


@contextmanager
def running_locations(
    databases: TestDatabases, names: Sequence[str], directory: Path, *, bootstrap: str = ""
) -> Iterator[Locations]:
    """Yield running locations; ``bootstrap`` is their Kafka, empty for none at all."""
    locations = Locations(databases, names, directory)
    locations.bootstrap = bootstrap
    try:
        locations.start()
        yield locations
    finally:
        locations.stop()


@contextmanager
def running_broker(directory: Path) -> Iterator[str]:
    """Yield the address of an embedded broker in a process of its own."""
    directory.mkdir(parents=True, exist_ok=True)
    path = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    broker = Broker(lambda: path, directory / "address", directory / "broker.log")
    broker.start()
    try:
        yield broker.bootstrap
    finally:
        broker.stop()


def web_server(port: int) -> list[str]:
    """Return the command of a location's web server."""
    return [
        sys.executable, "-m", "gunicorn", "sins.wsgi", "--bind", f"127.0.0.1:{port}",
        "--worker-class", "gthread", "--workers", "1", "--threads", "8",
        "--graceful-timeout", "2", "--log-level", "warning", "--no-control-socket",
    ]  # fmt: skip


def wait_until(
    is_so: Callable[[], bool], seconds: float, what: str | Callable[[], str] = "it"
) -> float:
    """Wait until something is so; return the seconds it took, fail after ``seconds``."""
    begin = time.monotonic()
    while not is_so():
        if time.monotonic() - begin > seconds:
            raise AssertionError(
                f"not within {seconds} s: {what if isinstance(what, str) else what()}"
            )
        time.sleep(0.05)
    return time.monotonic() - begin


def serves(location: Location) -> bool:
    """Whether its pages and its API answer."""
    try:
        return httpx.get(f"{location.url}/readyz", timeout=2, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def public_key(name: str) -> str:
    """Return the public half of the key a location has at first."""
    seed = base64.b64decode(test_key(f"location key of {name}"))
    return base64.b64encode(chain.public_key(seed)).decode()
