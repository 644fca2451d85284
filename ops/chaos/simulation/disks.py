"""What locations keep: saved and brought back whole, row by row, as pg_dump and pg_restore do.

Databases and connections are kept from one seed to the next. Each seed begins on what the template
holds, in tables whose old rows are gone for good, so that rows lie as they would in a new database.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from events.guard import SET_MARK
from ops.chaos.simulation.seams import SeamedConnection
from ops.databases import DatabaseUrls
from tests.databases import TestDatabases

# Nothing else is written in a run.
_TABLES = "SELECT tablename FROM pg_tables WHERE tablename ~ '^(events|customers)_' ORDER BY 1"
_SEQUENCES = """
SELECT sequencename FROM pg_sequences WHERE sequencename ~ '^(events|customers)_' ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Saved:
    """All rows of a database, by table, and where its sequences stand."""

    tables: Mapping[str, bytes]
    sequences: Mapping[str, tuple[int, bool]]


@dataclass
class Disk:
    """The database of one location, and connections to it that nobody uses just now."""

    urls: DatabaseUrls
    spare: list[SeamedConnection] = field(default_factory=list)

    def save(self) -> Saved:
        """Return what is there."""
        with psycopg.connect(self.urls.owner) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            tables = {name: _copied(connection, name) for name in _names(connection, _TABLES)}
            sequences = {}
            for name in _names(connection, _SEQUENCES):
                statement = _sql("SELECT last_value, is_called FROM {}", name)
                last, is_called = _one(connection, statement)
                sequences[name] = (last, is_called)
        return Saved(tables, sequences)

    def bring_back(self, saved: Saved) -> None:
        """Put ``saved`` in the place of everything that is there."""
        with psycopg.connect(self.urls.owner) as connection:
            connection.execute(SET_MARK)
            for name in saved.tables:
                connection.execute(_sql("DELETE FROM {}", name))
            connection.commit()
            connection.autocommit = True
            names = sql.SQL(", ").join(map(sql.Identifier, saved.tables))
            connection.execute(sql.SQL("VACUUM {}").format(names))
            connection.autocommit = False
            connection.execute(SET_MARK)
            for name, rows in saved.tables.items():
                _fill(connection, name, rows)
            for name, place in saved.sequences.items():
                connection.execute("SELECT setval(%s::regclass, %s, %s)", [name, *place])

    def close(self) -> None:
        """Close the connections."""
        while self.spare:
            self.spare.pop().really_close()


class Disks:
    """A disk for each location of a seed, used again by the next."""

    def __init__(self, databases: TestDatabases) -> None:
        self._databases = databases
        self._disks: dict[str, Disk] = {}
        self._empty: Saved | None = None

    def empty(self, location: str) -> Disk:
        """Return a location's disk as it is when the location is new."""
        if location not in self._disks:
            self._disks[location] = Disk(self._databases.copy())
        disk = self._disks[location]
        self._empty = self._empty or disk.save()
        disk.bring_back(self._empty)
        return disk

    def nothing(self) -> Saved:
        """Return what a new location holds."""
        if self._empty is None:
            raise LookupError("no location has been made yet")
        return self._empty

    def close(self) -> None:
        """Give up all disks."""
        for disk in self._disks.values():
            disk.close()
            self._databases.drop(disk.urls)


def _sql(template: str, name: str) -> sql.Composed:
    return sql.SQL(template).format(sql.Identifier(name))


def _one(connection: psycopg.Connection, statement: sql.Composed) -> Any:
    return connection.execute(statement).fetchone()


def _names(connection: psycopg.Connection, query: Any) -> list[str]:
    return [row[0] for row in connection.execute(query).fetchall()]


def _copied(connection: psycopg.Connection, table: str) -> bytes:
    with connection.cursor().copy(_sql("COPY {} TO STDOUT", table)) as copy:
        return b"".join(copy)


def _fill(connection: psycopg.Connection, table: str, rows: bytes) -> None:
    if rows:
        with connection.cursor().copy(_sql("COPY {} FROM STDIN", table)) as copy:
            copy.write(rows)
