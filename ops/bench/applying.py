"""Columns (c) and (d): what applying another location's events costs."""

from __future__ import annotations

import hashlib
import os
import random
import time
from collections.abc import Sequence
from itertools import count
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from customers.kinds import ENTITY
from events import cursors, heads, keys
from events.cursors import Advance, Numbered
from events.drafting import Draft, events_of
from events.envelope import from_raw
from events.log import Sealed
from events.recorder import Received, receive
from ops.bench import people
from ops.bench.timing import Variant

BATCH = 1000
ORIGIN = "loc2"
# Every row that applying a batch writes, new or changed: by its table, and how to find it.
_TABLES = {
    "events_event": "event_id = ANY(%(events)s)",
    "events_eventsecret": "event_id = ANY(%(events)s)",
    "events_eventnumber": "event_id = ANY(%(events)s)",
    "events_subjectkey": "origin = %(origin)s AND subject_uid = ANY(%(entities)s)",
    "events_entityhead": "entity_uid = ANY(%(entities)s)",
    "customers_entitydetail": "detail_code = 'phone' AND entity_uid = ANY(%(entities)s)",
}
Arrived = tuple[bytes, bytes, bytes]  # raw, ciphertext, wrapped key
Rows = dict[str, list[tuple[object, ...]]]  # by table


class Stream:
    """Another location's stream, made as that location would have made it."""

    def __init__(self, numbers: Sequence[int]) -> None:
        # Nobody is changed twice, so every batch may be made before the first is applied.
        self._numbers = random.Random(11).sample(list(numbers), len(numbers))
        self._texts = (f"+{n}" for n in count(time.time_ns()))
        self._keys: dict[UUID, bytes] = {}
        self._seq, self._chain, _ = cursors.position(ORIGIN, 1, b"\0" * 32)

    def batch(self, size: int) -> tuple[list[Arrived], Advance]:
        """Return ``size`` events as they arrive (raw, ciphertext, wrapped key), each a phone."""
        uids = [people.uid(self._numbers.pop()) for _ in range(size)]
        known = heads.read(uids)
        arrived: list[Arrived] = []
        numbered: list[Numbered] = []
        for uid in uids:
            draft = Draft(uid, "customers.details_changed", self._phone(), ENTITY)
            [event] = events_of([draft], {uid: known[uid]}, people.author(ORIGIN))
            key = self._keys.setdefault(uid, os.urandom(32))
            raw, ct = keys.seal(event, ENTITY.clear_groups, key)
            arrived.append((raw, ct, keys.wrap(key)))
            self._chain = hashlib.sha256(self._chain + hashlib.sha256(raw).digest()).digest()
            numbered.append(Numbered(self._seq + len(numbered) + 1, event.event_id, self._chain))
        advance = Advance(ORIGIN, 1, self._seq, numbered)
        self._seq += size
        return arrived, advance

    def _phone(self) -> dict[str, dict[str, str]]:
        return {"phone": {"value": next(self._texts)}}


def apply(arrived: Sequence[Arrived], advance: Advance | None) -> int:
    """Decode and receive a run of events, as the consumer does."""
    sealed = [Sealed(from_raw(raw), raw, ct, wrapped) for raw, ct, wrapped in arrived]
    return len(receive(sealed, Received(time.time_ns() // 1000, advance)))


class Batches:
    """Batches made before a round is timed, and the variants that use them up."""

    def __init__(self, stream: Stream, rounds: int, singles: int) -> None:
        self._batched = [stream.batch(BATCH) for _ in range(rounds + 1)]
        self._single = [[stream.batch(1) for _ in range(singles)] for _ in range(rounds + 1)]
        # The stream's numbers are consecutive: the singles come after all batches.

    def first_apply(self, number: int) -> int:
        """Apply one batch that is new."""
        assert apply(*self._batched[number]) == BATCH
        return BATCH

    def replay(self, number: int) -> int:
        """Receive a batch once more that is here already: nothing may be written."""
        arrived, _ = self._batched[number]
        assert apply(arrived, None) == 0
        return BATCH

    def one_by_one(self, number: int) -> int:
        """Apply events in a transaction each."""
        for arrived, advance in self._single[number]:
            assert apply(arrived, advance) == 1
        return len(self._single[number])

    def written(self) -> list[Rows]:
        """Take the rows that each batch wrote out of the copies; return them, by table."""
        return [self._taken(arrived, advance) for arrived, advance in self._batched]

    def _taken(self, arrived: Sequence[Arrived], advance: Advance) -> Rows:
        wanted: dict[str, Any] = {
            "events": [numbered.event_id for numbered in advance.numbers],
            "entities": [from_raw(raw).entity_uid for raw, _, _ in arrived],
            "origin": ORIGIN,
        }
        rows: Rows = {}
        with connection.cursor() as cursor:
            for table, condition in _TABLES.items():
                cursor.execute(
                    f"DELETE FROM bench_{table} WHERE {condition} RETURNING {_columns(table)}",
                    wanted,
                )
                rows[table] = cursor.fetchall()
        return rows


def copy_variant(rows: Sequence[Rows]) -> Variant:
    """Return COPY of the same rows into copies of the same tables with the same indexes."""

    def variant(number: int) -> int:
        with transaction.atomic(), connection.cursor() as cursor:
            for table, values in rows[number].items():
                with cursor.copy(f"COPY bench_{table} ({_columns(table)}) FROM STDIN") as copy:
                    for row in values:
                        copy.write_row(row)
        return BATCH

    return variant


def make_copies() -> None:
    """Make the tables to COPY into: the same columns, indexes, constraints and rows."""
    with connection.cursor() as cursor:
        for table in _TABLES:
            cursor.execute(f"CREATE TABLE bench_{table} (LIKE {table} INCLUDING ALL)")
            names = _columns(table)
            cursor.execute(f"INSERT INTO bench_{table} ({names}) SELECT {names} FROM {table}")


def _columns(table: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_name FROM information_schema.columns"
            " WHERE table_name = %s AND is_generated = 'NEVER' ORDER BY ordinal_position",
            [table],
        )
        return ", ".join(f'"{name}"' for (name,) in cursor.fetchall())
