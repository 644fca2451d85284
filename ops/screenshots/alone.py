"""A location of the pictures' own: it has no peers, nobody was entered, and it goes with them."""

from __future__ import annotations

import functools
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg

from events.recovery import BEGIN
from ops.demo.locations import (
    DATABASE,
    Location,
    child_environment,
    environment,
    load,
    manage,
)
from ops.demo.parts import Program
from ops.demo.places import CHECKOUT, InternalPorts, Places
from ops.demo.stack import web_server
from ops.demo.story import is_ready
from ops.ports import free_port
from ops.processes import command_of

READY_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Alone:
    """A location and what applies there, if there were anybody to hear of."""

    location: Location
    consumer: Program

    def restore(self) -> None:
        """Make it read-only, as one is that has just come back from a backup.

        Its consumer would see at once that there is nobody to wait for.
        """
        self.consumer.stop()
        with psycopg.connect(self.location.database.owner, autocommit=True) as connection:
            connection.execute(BEGIN)


@contextmanager
def running() -> Iterator[Alone]:
    """Start a location with its tables, members and pages; end and delete it at last."""
    with tempfile.TemporaryDirectory(prefix="sins-pictures-") as folder:
        places = Places(Path(folder), free_port())
        location = load(places, InternalPorts(places.first_port))[0]
        try:
            location.cluster.create()
            location.cluster.start()
            with _programs(location) as programs:
                yield Alone(location, programs["consumer"])
        finally:
            location.cluster.destroy()


@contextmanager
def _programs(location: Location) -> Iterator[dict[str, Program]]:
    owner, application = location.database_roles()
    location.database = location.cluster.create_role_and_database(
        DATABASE, owner=owner, application=application
    )
    settings = {**environment(location, {}, ""), **web_server(location)}
    child = functools.partial(child_environment, settings)
    for command in (manage("migrate", "--verbosity", "0"), manage("create_demo_members")):
        subprocess.run(  # noqa: S603 - the project's own commands
            command,
            cwd=CHECKOUT,
            env=child(is_owner=True),
            stdout=subprocess.DEVNULL,
            check=True,
        )
    programs = {
        name: Program(
            name, location.name, command_of(name), child, location.directory / f"{name}.log"
        )
        for name in ("web", "consumer")
    }
    try:
        for program in programs.values():
            program.start()
        _wait_for(location)
        yield programs
    finally:
        for program in programs.values():
            program.stop()


def _wait_for(location: Location) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not is_ready(location.web_port):
        assert time.monotonic() < deadline, "the pages do not answer"
        time.sleep(0.1)
