"""The databases that the speed table is measured on, and the locations over them."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Final, LiteralString

import psycopg
from django.conf import settings
from django.core.management.base import OutputWrapper
from django.db import connection, connections, transaction

from events.console import Meter
from events.sequencer import number_pass
from events.streams import own_key
from ops.bench import people
from ops.bench.speed.sizes import Sizes
from ops.databases import DatabaseUrls
from ops.postgres import Cluster
from tests.databases import TestDatabases
from tests.locations import Locations, running_broker

WRITER, READER = "loc1", "loc2"
A_TRANSACTION: Final = 500
PATIENCE_SECONDS: Final = 7200.0

# A copy of the writer's database is the reader's once it says whose the numbers in it are.
_RECEIVED = """
INSERT INTO events_received (origin, epoch, seq, chain, kafka_offset)
SELECT origin, epoch, seq, chain, 0 FROM events_streamhead
WHERE origin = %s ORDER BY epoch DESC, seq DESC LIMIT 1
"""


class Stage:
    """Makes databases that hold the people, and runs locations over them."""

    def __init__(self, cluster: Cluster, urls: DatabaseUrls, sizes: Sizes) -> None:
        self.sizes = sizes
        self.postgres = cluster.running_pid() or 0
        self._admin = cluster.superuser_url()
        self.databases = TestDatabases(self._admin, urls)

    @cached_property
    def filled(self) -> TestDatabases:
        """Databases in which all people are, entered and numbered at the writer."""
        self.databases.migrate_template()
        urls = self.databases.copy()
        self.databases.connect_django(urls)
        begun = time.perf_counter()
        meter = progress(self.sizes.people, "customers entered")
        for chunk in people.chunks(range(self.sizes.people), A_TRANSACTION):
            people.enter(chunk, days=1)
            meter.show(chunk[-1])
        meter.clear()
        number_all()
        tidy()
        seconds = time.perf_counter() - begun
        say(f"{self.sizes.people:,} customers of 9 details entered in {seconds:.0f} s")
        connections.close_all()
        return TestDatabases(self._admin, urls)

    @contextmanager
    def database(self) -> Iterator[DatabaseUrls]:
        """Yield a database with all people, to which Django is connected."""
        urls = self.filled.copy()
        self.filled.connect_django(urls)
        try:
            yield urls
        finally:
            connections.close_all()
            self.filled.drop(urls)

    @contextmanager
    def locations(self, *names: str, has_broker: bool = False) -> Iterator[Locations]:
        """Yield locations that hold all people; none of their processes runs yet."""
        with tempfile.TemporaryDirectory(prefix="sins-bench-") as directory:
            locations = Locations(self.filled, names, Path(directory))
            if READER in names:
                with psycopg.connect(locations[READER].database.owner) as owner:
                    owner.execute(_RECEIVED, [WRITER])
            try:
                if has_broker:
                    with running_broker(Path(directory) / "broker") as locations.bootstrap:
                        yield locations
                else:
                    yield locations
            finally:
                connections.close_all()
                locations.stop()

    def at(self, locations: Locations, name: str) -> None:
        """Let Django, in this process, work at a location."""
        self.filled.connect_django(locations[name].database)

    def emptied(self, locations: Locations, name: str) -> None:
        """Make a location one that has nothing yet."""
        self.filled.empty(locations[name].database)
        locations[name].manage("migrate", "--verbosity=0")

    def processes(self, locations: Locations | None = None) -> dict[str, list[int]]:
        """Return process ids by what they do; one PostgreSQL serves all locations."""
        found = {"PostgreSQL": [self.postgres], "this process": [os.getpid()]}
        for location in locations.all.values() if locations else ():
            for name, program in location.programs.items():
                if program.pid is not None:
                    found[f"{location.name} {name}"] = [program.pid]
        return found


def wait_until(is_so: Callable[[], bool], look: float = 0.02) -> None:
    """Wait until something is so; ``RuntimeError`` after hours."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        if time.monotonic() > deadline:
            raise RuntimeError(f"Not so after {PATIENCE_SECONDS:.0f} s.")
        time.sleep(look)


def one_of(look: psycopg.Connection, query: LiteralString, value: str) -> int:
    """Return a query's one number, by a connection that is kept: each new one costs as much."""
    row = look.execute(query, [value]).fetchone()
    return int(row[0]) if row else 0


def number_all() -> None:
    """Give the writer's committed events their numbers, as its sequencer would."""
    count = 1
    while count:
        with transaction.atomic(), connection.cursor() as cursor:
            count = number_pass(cursor, settings.LOCATION_ID, own_key())


def tidy() -> None:
    """Do what autovacuum does in a quiet hour."""
    with connections["owner"].cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def progress(total: int, things: str) -> Meter:
    """Return what shows how far long work is."""
    return Meter(OutputWrapper(sys.stderr), total, things)


def say(sentence: str) -> None:
    """Tell whoever waits."""
    print(sentence, file=sys.stderr, flush=True)
