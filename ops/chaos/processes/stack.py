"""Three locations and a Kafka like the demo's, on ways, clocks and a disk that can be spoilt."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations
from pathlib import Path
from typing import Any, Final, TextIO, TypeVar

import httpx
import psycopg

from ops.chaos.processes import clock, releases
from ops.chaos.processes.disk import SmallDisk
from ops.chaos.processes.history import Failure
from ops.chaos.processes.links import Mode, SteeredLink, steer
from ops.demo import state
from ops.demo.entering import MARKER
from ops.demo.links import Link, Network
from ops.demo.locations import NETWORK_KEYS, Environment, Location, load_one
from ops.demo.parts import Broker, Kafka, Part
from ops.demo.places import (
    BROKER,
    CHECKOUT,
    LOCATIONS,
    DemoError,
    InternalPorts,
    Places,
    write_privately,
)
from ops.demo.screen import Screen
from ops.demo.stack import Stack
from ops.demo.story import preparation, tell
from ops.demo.tasks import run_all
from ops.kafka_server import KafkaServer

CLIENTS: Final = "clients"  # who connects to a location from outside
SETTINGS: Final = "ops.chaos.processes.settings"
RETRY_SECONDS: Final = 1.0
LOOK_SECONDS: Final = 0.1

_T = TypeVar("_T")


class ChaosStack(Stack):
    """Everything that runs; what has died is started again, unless a fault holds it down."""

    processes = ("web", "sequencer", "consumer")

    def __init__(self, places: Places, *, with_disk: bool) -> None:
        self._beside: dict[tuple[str, str], SteeredLink] = {}  # ways from clients and to Kafka
        self._doors: list[tuple[int, int]] = []
        self._held: set[Part] = set()
        self._retry_at: dict[Part, float] = {}
        self.died: list[str] = []  # what ended by itself
        self.failures: list[Failure] = []  # that faults came upon
        self.commands = {name: threading.Lock() for name in LOCATIONS}  # one that writes at a time
        super().__init__(places, broker="kafka")
        self._seeds: dict[str, str] = {}  # whom a new location knows, by its name
        self.disk = SmallDisk(self.location(LOCATIONS[-1]).cluster) if with_disk else None
        self._side_network = Network(self._beside.values())

    @property
    def kafka(self) -> Kafka:
        """The broker."""
        return next(part for part in self.parts if isinstance(part, Kafka))

    def make_links(self, ports: InternalPorts) -> list[Link]:
        """Return the ways between the locations; make those from clients and to Kafka, too."""
        for name in LOCATIONS:
            outside = SteeredLink(CLIENTS, name, ports.take(), self._places.web_port(name))
            door = SteeredLink(name, BROKER, ports.take(), ports.take())
            self._doors.append((door.target, door.port))
            self._beside |= {(CLIENTS, name): outside, (name, BROKER): door}
        return [
            SteeredLink(one, other, ports.take(), self._places.web_port(other))
            for one, other in permutations(LOCATIONS, 2)
        ]

    def make_broker(self, ports: InternalPorts, broker: str) -> Broker | Kafka | None:
        """Return the real Kafka, with a door for each location."""
        port = ports.take()
        directory = self._places.directory / "kafka" / f"data-{port}"
        return Kafka(KafkaServer(directory, port, ports.take(), self._doors))

    def environment(self, location: Location) -> Environment:
        """Return a location's settings, with its own way to Kafka, which a new one has not."""
        settings = super().environment(location)
        if location.name in self._seeds:
            return {**settings, "PEERS": self._seeds[location.name]}
        door = self._beside[location.name, BROKER]
        return {**settings, "KAFKA_BOOTSTRAP": f"127.0.0.1:{door.port}"}

    def child(self, location: Location, *, is_owner: bool = False) -> Mapping[str, str]:
        """Return the environment of one of a location's programs, of its release."""
        chaos = {
            "DJANGO_SETTINGS_MODULE": SETTINGS,
            releases.VARIABLE: str(self.release_of(location.name)),
        }
        return {**super().child(location, is_owner=is_owner), **chaos}

    def process(self, name: str, location: Location) -> Mapping[str, str]:
        """Return the environment of one of a location's own processes, on its own clock."""
        follow = {clock.VARIABLE: str(self.clock_of(location.name))}
        return {**super().process(name, location), **follow}

    def start_database(self, location: Location) -> None:
        """Start a location's PostgreSQL, the last one's on the small disk."""
        if self.disk is not None and location.name == LOCATIONS[-1]:
            location.cluster.create()
            self.disk.attach()
        super().start_database(location)

    def start(self, out: TextIO) -> None:
        """Start everything, with nobody entered; returns when all locations hold the same."""
        state.end_leftovers(self._places)
        write_privately(self._places.directory / MARKER, "{}")
        self._side_network.start()
        for name in LOCATIONS:
            clock.make(self.clock_of(name))
        _run(tell(self._places, self, Screen(out)))

    def stop(self) -> None:
        """End everything; no disk of ours stays mounted."""
        for link in self.links.values():
            self.steer([link], Mode.CLEAR)
        super().stop()
        self._side_network.stop()
        if self.disk is not None:
            self.disk.detach()
        state.remove(self._places)

    def restart(self) -> None:
        """Stop every process, broker and databases last, and start all again."""
        for part in self.parts:
            part.ask_to_stop()
        for part in reversed(self.parts):
            part.stop()
        for part in self.parts:
            part.start()

    def forget(self) -> None:
        """Delete the databases, which do not lie in the directory for root."""
        for location in self.locations:
            location.cluster.destroy()

    @property
    def links(self) -> dict[tuple[str, str], SteeredLink]:
        """All ways, by who connects and whom to."""
        between = {(x.sender, x.receiver): x for x in self._network.links}
        return self._beside | {k: x for k, x in between.items() if isinstance(x, SteeredLink)}

    def steer(self, links: Iterable[SteeredLink], mode: Mode) -> None:
        """Set the mode of ways."""
        for link in links:
            is_beside = (link.sender, link.receiver) in self._beside
            steer(self._side_network if is_beside else self._network, link, mode)

    def part(self, location: str | None, name: str) -> Part:
        """Return a process that runs or should run."""
        return next(part for part in self.parts if (part.location, part.name) == (location, name))

    def hold(self, part: Part) -> None:
        """Leave a process dead from now on."""
        self._held.add(part)

    def release(self, part: Part) -> None:
        """Let a process be started again."""
        self._held.discard(part)
        if part.pid is None:
            self._retry_at[part] = 0.0  # at once, and it has not died by itself

    def take_died(self) -> list[str]:
        """Return what has ended by itself since this was asked last."""
        died, self.died = self.died, []
        return died

    def keep_alive(self) -> bool:
        """Start again what has died; return whether all runs. A start that fails is repeated."""
        dead = [part for part in self.parts if part.pid is None]
        for part in dead:
            now = time.monotonic()
            if part in self._held or now < self._retry_at.get(part, 0.0):
                continue
            if part not in self._retry_at:
                self.died.append(f"{part.location or ''} {part.name} {part.ending()}".strip())
            try:
                part.start()
            except DemoError:
                self._retry_at[part] = time.monotonic() + RETRY_SECONDS
            else:
                self._retry_at.pop(part, None)
        return not dead

    def clock_of(self, name: str) -> Path:
        """Return the file that says by how much a location's clock is wrong."""
        return self._places.directory / name / "clock"

    def release_of(self, name: str) -> int:
        """Return how many releases a location is ahead of the code."""
        path = self._release_path(name)
        return int(path.read_text(encoding="ascii")) if path.exists() else 0

    def set_release(self, name: str, release: int) -> None:
        """Let what is started at a location from now on be of that release."""
        write_privately(self._release_path(name), str(release))

    def _release_path(self, name: str) -> Path:
        return self._places.directory / name / "release"

    def address_of(self, name: str) -> str:
        """Return where clients find a location."""
        if name in self._seeds:
            return self.location(name).url
        return self._beside[CLIENTS, name].url

    def new_location(self, name: str) -> Location:
        """Return a location that nobody knows yet, of the first one's network and release."""
        first = self.locations[0]
        network = {key: first.secrets[key] for key in NETWORK_KEYS}
        clock.make(self.clock_of(name))
        self.set_release(name, self.release_of(first.name))
        self.commands[name] = threading.Lock()
        self._metrics[name] = f"127.0.0.1:{self._ports.take()}"
        return load_one(self._places, name, network, self._ports.take(), self._ports.take())

    def welcome(self, location: Location, peers: Mapping[str, object]) -> None:
        """Start a new location that knows these peers."""
        self._seeds[location.name] = json.dumps(peers)
        self.start_database(location)
        _run(run_all([preparation(self, location)]))
        self.start_processes(location)
        self.locations.append(location)

    def dismiss(self, location: Location) -> None:
        """End a new location, and delete its database."""
        own = [part for part in self.parts if part.location == location.name]
        self.parts = [part for part in self.parts if part not in own]
        self.locations.remove(location)
        for part in reversed(own):
            part.stop()
        location.cluster.destroy()

    def rows(self, name: str, query: Any, values: Any = ()) -> list[tuple[Any, ...]]:
        """Return what a query finds in a location's database."""
        url = self.location(name).database.owner
        with psycopg.connect(url, connect_timeout=5, autocommit=True) as connection:
            connection.execute("SET TIME ZONE 'UTC'")
            return connection.execute(query, values).fetchall()

    def manage(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a management command of a location, on the right clock."""
        return self.run(name, "manage.py", *arguments)

    def run(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a program in the environment of a location, with the owner's rights."""
        return subprocess.run(  # noqa: S603 - our own command
            [sys.executable, *arguments],
            cwd=CHECKOUT,
            env=dict(self.child(self.location(name), is_owner=True)),
            capture_output=True,
            text=True,
            check=False,
        )

    def status(self, name: str) -> dict[str, Any]:
        """Return what a location's ``sync_status`` says; nothing if it cannot."""
        with contextlib.suppress(ValueError):
            said: dict[str, Any] = json.loads(self.manage(name, "sync_status", "--json").stdout)
            return said
        return {}

    def readiness(self, name: str) -> dict[str, Any]:
        """Return what a location says at ``/readyz``; nothing if it cannot."""
        address = f"{self.location(name).url}/readyz"
        with contextlib.suppress(httpx.HTTPError, ValueError):
            answer: dict[str, Any] = httpx.get(address, timeout=5, trust_env=False).json()
            return answer
        return {}


def everywhere(stack: ChaosStack, ask: Callable[[str], _T]) -> dict[str, _T]:
    """Ask all locations at once: ``{location: ask(location)}``."""
    names = stack.names
    with ThreadPoolExecutor(len(names)) as pool:
        return dict(zip(names, pool.map(ask, names), strict=True))


def _run(steps: Iterator[None]) -> None:
    for _ in steps:
        time.sleep(LOOK_SECONDS)
