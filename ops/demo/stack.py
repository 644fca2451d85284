"""Everything a demo runs: three locations with four processes each, the broker, the links."""

from __future__ import annotations

import contextlib
import functools
import shutil
from collections.abc import Iterable, Mapping, Sequence
from itertools import permutations
from pathlib import Path
from typing import Final

from ops.demo import state
from ops.demo.links import Link, Network
from ops.demo.locations import (
    DATABASE,
    Environment,
    Location,
    child_environment,
    environment,
    load,
    write_environment,
)
from ops.demo.parts import Broker, Kafka, Part, Postgres, Program
from ops.demo.places import LOCATIONS, InternalPorts, Places
from ops.kafka_server import KafkaServer
from ops.processes import command_of

PROCESSES: Final = ("web", "sequencer", "consumer", "metrics")
RELAYS: Final = ("sequencer", "consumer")  # what knows the broker
NOWHERE: Final = "127.0.0.1:1"  # a cut location's broker


class Stack:
    """The parts that run, in the order in which they were started.

    ``make_links`` and ``make_broker`` say how the locations are connected.
    """

    processes: Sequence[str] = PROCESSES

    def __init__(self, places: Places, *, broker: str) -> None:
        self._places = places
        self._ports = ports = InternalPorts(places.first_port)
        self.locations = load(places, ports)
        self._network = Network(self.make_links(ports))
        self._broker = self.make_broker(ports, broker)
        self._metrics = {name: f"127.0.0.1:{ports.take()}" for name in LOCATIONS}
        self.bootstrap = ""
        self.parts: list[Part] = []

    def make_links(self, ports: InternalPorts) -> list[Link]:
        """Return the ways between the locations."""
        return [
            Link(sender, receiver, ports.take(), self._places.web_port(receiver))
            for sender, receiver in permutations(LOCATIONS, 2)
        ]

    def make_broker(self, ports: InternalPorts, broker: str) -> Broker | Kafka | None:
        """Return the broker: ``embedded``, ``kafka`` or ``none``."""
        if broker == "none":
            return None
        if broker == "kafka":
            port = ports.take()
            directory = self._places.directory / "kafka" / f"data-{port}"
            return Kafka(KafkaServer(directory, port, ports.take()))
        folder = self._places.directory
        environment = functools.partial(child_environment, {})
        return Broker(environment, folder / "broker.address", folder / "broker.log")

    @property
    def names(self) -> list[str]:
        """The names of all locations."""
        return [location.name for location in self.locations]

    def location(self, name: str) -> Location:
        """Return the location of that name."""
        return next(location for location in self.locations if location.name == name)

    def start_network(self) -> None:
        """Start the broker and open the links; then every location's environment is known."""
        self._network.start()
        if self._broker is not None:
            self._start(self._broker)
            self.bootstrap = self._broker.bootstrap

    def start_database(self, location: Location) -> None:
        """Start a location's PostgreSQL with its database and roles."""
        self._start(Postgres(location.name, location.cluster))
        owner, application = location.database_roles()
        location.database = location.cluster.create_role_and_database(
            DATABASE, owner=owner, application=application
        )

    def start_processes(self, location: Location) -> None:
        """Start a location's processes with the commands that compose starts."""
        shutil.rmtree(_counts(location), ignore_errors=True)  # of the last time
        is_shipping = bool(self.environment(location)["ELASTICSEARCH_HOST"])
        for name in (*self.processes, "ship") if is_shipping else self.processes:
            log = self._places.log(location.name, name)
            if log.exists():
                log.replace(log.with_suffix(".log.1"))
            child = functools.partial(self.process, name, location)
            self._start(Program(name, location.name, command_of(name), child, log))

    def environment(self, location: Location) -> Environment:
        """Return a location's settings."""
        addresses = self._network.peers_of(location.name)
        peers = {name: (url, self.location(name).public_key) for name, url in addresses.items()}
        return environment(location, peers, self.bootstrap)

    def child(self, location: Location, *, is_owner: bool = False) -> Mapping[str, str]:
        """Return the environment of one of a location's processes as it is now."""
        settings = self.environment(location)
        if location.is_cut and self._broker is not None:
            settings["KAFKA_BOOTSTRAP"] = NOWHERE
        return child_environment(settings, is_owner=is_owner)

    def process(self, name: str, location: Location) -> Mapping[str, str]:
        """Return the environment of one of a location's own processes."""
        return {
            **self.child(location),
            **(web_server(location) if name == "web" else {}),
            "METRICS_ADDRESS": self._metrics[location.name],
            "PROMETHEUS_MULTIPROC_DIR": str(_counts(location)),
        }

    def write_environments(self) -> None:
        """Let ``manage.py`` speak for each location."""
        for location in self.locations:
            write_environment(location.environment_path, self.environment(location))

    def start_again(self, part: Part) -> None:
        """Start a part that has ended; after the broker those that knew its old address."""
        part.start()
        broker = self._broker
        if broker is not None and part is broker and broker.bootstrap != self.bootstrap:
            self.bootstrap = broker.bootstrap
            self.write_environments()
            self._restart_relays({loc.name for loc in self.locations if not loc.is_cut})

    def set_cut(self, location: Location, *, is_cut: bool) -> None:
        """Take a location off the network of the others, links and broker, or back."""
        location.is_cut = is_cut
        self._network.set_cut(location.name, is_cut)
        self._restart_relays({location.name})

    def set_broker_away(self, *, is_away: bool) -> None:
        """Kill the broker and leave it dead, or let it be started again as what has died is."""
        broker = self._broker
        if broker is None:
            return
        if is_away:
            self.parts = [part for part in self.parts if part is not broker]
            broker.kill()
        elif broker not in self.parts:
            self.parts.insert(0, broker)

    def tell_tools(self) -> None:
        """Write ``demo.json`` as things are now."""
        state.write(self._places, self.locations, self.parts, self.bootstrap)

    def stop(self) -> None:
        """End everything, databases last."""
        for part in self.parts:
            part.ask_to_stop()
        for part in sorted(self.parts, key=lambda part: isinstance(part, Postgres)):
            with contextlib.suppress(Exception):  # whatever happens to one, the others must end
                part.stop()
        self._network.stop()

    def _start(self, part: Part) -> None:
        try:
            part.start()
        except BaseException:
            part.stop()
            raise
        self.parts.append(part)

    def _restart_relays(self, names: Iterable[str]) -> None:
        wanted = set(names)
        relays = [p for p in self.parts if p.location in wanted and p.name in RELAYS]
        for relay in relays:
            relay.ask_to_stop()
        for relay in relays:
            relay.stop()
            relay.start()


def _counts(location: Location) -> Path:
    """Where the processes of a location count."""
    return location.directory / "counts"


def web_server(location: Location) -> Environment:
    """Return what a location's web server is told: this machine's own address, one worker."""
    arguments = (
        f"--bind 127.0.0.1:{location.web_port} --workers 1 --threads 8"
        " --keep-alive 30 --graceful-timeout 5 --log-level warning"
    )
    return {"GUNICORN_CMD_ARGS": arguments}
