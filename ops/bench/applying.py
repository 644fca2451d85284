"""Columns (c) and (d): what applying another location's events costs."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from consumers.apply import Applier, Pace
from consumers.verify import Run, entries_of, verified
from customers.kinds import ENTITY
from events import chain, heads, keys
from events.chain import Head
from events.drafting import Draft, events_of
from events.envelope import Event, Fields, from_raw
from events.heads import Head as EntityHead
from events.recorder import Received, receive
from events.streams import FIRST_EPOCH, Item, Position
from ops.bench import people
from ops.bench.environment import ORIGIN, ORIGIN_SEED
from ops.bench.timing import Variant

BATCH = 1000
# Every row that applying a batch writes, new or changed: by its table, and how to find it.
_TABLES = {
    "events_event": "event_id = ANY(%(events)s)",
    "events_eventsecret": "event_id = ANY(%(events)s)",
    "events_eventnumber": "event_id = ANY(%(events)s)",
    "events_subjectkey": "origin = %(origin)s AND subject_uid = ANY(%(entities)s)",
    "events_entityhead": "entity_uid = ANY(%(entities)s)",
    "customers_entitydetail": "detail_code = 'phone' AND entity_uid = ANY(%(entities)s)",
}
Rows = dict[str, list[tuple[object, ...]]]  # by table


class Stream:
    """Another location's stream, made as that location would have made it."""

    def __init__(
        self, numbers: Sequence[int], changes: Iterator[Mapping[str, Fields]] | None = None
    ) -> None:
        # Nobody is changed twice, so every batch may be made before the first is applied.
        self._numbers = random.Random(11).sample(list(numbers), len(numbers))
        self._changes = changes or _phones()
        self._seq, self._chain = 0, chain.start(ORIGIN, FIRST_EPOCH)

    def run(self, size: int) -> Run:
        """Return ``size`` events as they arrive, each a change of a customer, and their head."""
        uids = [people.uid(self._numbers.pop()) for _ in range(size)]
        known = heads.read(uids)
        items = [self._item(uid, known[uid]) for uid in uids]
        head = chain.sign(Head(ORIGIN, FIRST_EPOCH, self._seq, self._chain), ORIGIN_SEED)
        return Run(ORIGIN, FIRST_EPOCH, items, head, "bench")

    def _item(self, uid: UUID, known: EntityHead) -> Item:
        event = next(
            event
            for change in self._changes
            # A value that is there already makes no event.
            for event in events_of(
                [Draft(uid, "customers.details_changed", change, ENTITY)],
                {uid: known},
                people.author(ORIGIN),
            )
        )
        key = os.urandom(32)
        raw, ct = keys.seal(event, ENTITY.clear_groups, key)
        [self._chain] = chain.steps(self._chain, [raw])
        self._seq += 1
        return Item(self._seq, raw, self._chain, ct, keys.wrap(key))


def _phones() -> Iterator[Mapping[str, Fields]]:
    return ({"phone": {"value": f"+{n}"}} for n in count(time.time_ns()))


class Batches:
    """Runs made before a round is timed, and the variants that use them up."""

    def __init__(self, stream: Stream, rounds: int, singles: int) -> None:
        self._batched = [stream.run(BATCH) for _ in range(rounds + 1)]
        # The stream's numbers are consecutive: the singles come after all batches.
        self._single = [[stream.run(1) for _ in range(singles)] for _ in range(rounds + 1)]
        self._applier = Applier(lambda: time.time_ns() // 1000)

    def first_apply(self, number: int) -> int:
        """Apply one batch that is new."""
        self._applier.pace = Pace()
        assert self._applier.apply(self._batched[number]) == BATCH
        return BATCH

    def replay(self, number: int) -> int:
        """Receive a batch once more with the cursor put back: nothing may be written."""
        entries = entries_of(verified(self._batched[number], self._before(number)), ORIGIN)
        sealed = [entry.sealed for entry in entries if entry.sealed]
        assert receive(sealed, Received(time.time_ns() // 1000)) == []
        return BATCH

    def repeat(self, number: int) -> int:
        """Deliver a batch once more: its numbers are behind the cursor."""
        assert self._applier.apply(self._batched[number]) == 0
        return BATCH

    def one_by_one(self, number: int) -> int:
        """Apply events in a transaction each."""
        for run in self._single[number]:
            assert self._applier.apply(run) == 1
        return len(self._single[number])

    def _before(self, number: int) -> Position:
        if number == 0:
            return Position(FIRST_EPOCH, 0, chain.start(ORIGIN, FIRST_EPOCH))
        last = self._batched[number - 1].items[-1]
        return Position(FIRST_EPOCH, last.seq, last.chain)

    def written(self) -> list[Rows]:
        """Take the rows that each batch wrote out of the copies; return them, by table."""
        return [self._taken([from_raw(item.raw) for item in run.items]) for run in self._batched]

    def _taken(self, events: Sequence[Event]) -> Rows:
        wanted: dict[str, Any] = {
            "events": [event.event_id for event in events],
            "entities": [event.entity_uid for event in events],
            "origin": ORIGIN,
        }
        rows: Rows = {}
        with connection.cursor() as cursor:
            for table, condition in _TABLES.items():
                cursor.execute(
                    f"DELETE FROM bench_{table} WHERE {condition} RETURNING {columns_of(table)}",
                    wanted,
                )
                rows[table] = cursor.fetchall()
        return rows


def copy_variant(rows: Sequence[Rows]) -> Variant:
    """Return COPY of the same rows into copies of the same tables with the same indexes."""

    def variant(number: int) -> int:
        with transaction.atomic(), connection.cursor() as cursor:
            for table, values in rows[number].items():
                with cursor.copy(f"COPY bench_{table} ({columns_of(table)}) FROM STDIN") as copy:
                    for row in values:
                        copy.write_row(row)
        return BATCH

    return variant


def make_copies() -> None:
    """Make the tables to COPY into: the same columns, indexes, constraints and rows."""
    with connection.cursor() as cursor:
        for table in _TABLES:
            cursor.execute(f"CREATE TABLE bench_{table} (LIKE {table} INCLUDING ALL)")
            names = columns_of(table)
            cursor.execute(f"INSERT INTO bench_{table} ({names}) SELECT {names} FROM {table}")


def columns_of(table: str) -> str:
    """Return the names of a table's columns that are written, for a statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_name FROM information_schema.columns"
            " WHERE table_name = %s AND is_generated = 'NEVER' ORDER BY ordinal_position",
            [table],
        )
        return ", ".join(f'"{name}"' for (name,) in cursor.fetchall())
