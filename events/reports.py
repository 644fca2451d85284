"""What was recorded in a period, counted by PostgreSQL, and line by line; no value is read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import connection

from events.genesis import ORIGIN as GENESIS

NOBODY: Final = UUID(int=0)  # stands for the actor of what no member did
LINES_A_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events: from ``start`` on, before ``end`` (µs since 1970). None narrows nothing."""

    start: int
    end: int
    origin: str | None = None
    actor: UUID | None = None
    type: str | None = None


class Count(NamedTuple):
    """How many events, and of how many transactions."""

    transactions: int = 0
    events: int = 0


@dataclass(frozen=True, slots=True)
class Counts:
    """The same events, counted in each way.

    A bucket's number is that of its edge, from 0. ``origins`` tells where an actor is a member.
    A transaction of several types counts with each of them, and once in all.
    """

    total: Count = field(default_factory=Count)
    by_bucket: Mapping[tuple[int, str], Count] = field(default_factory=dict)
    by_origin: Mapping[str, Count] = field(default_factory=dict)
    by_actor: Mapping[UUID, Count] = field(default_factory=dict)
    by_type: Mapping[str, Count] = field(default_factory=dict)
    origins: Mapping[UUID, str] = field(default_factory=dict)


class Line(NamedTuple):
    """One event, without what it says; ``ts`` is in µs since 1970."""

    ts: int
    event_id: UUID
    origin: str
    entity_uid: UUID
    type: str
    actor: UUID | None
    tx: UUID
    request_id: str


# All counts of a report, in one pass over the period (index: ts, event_id).
_COUNTS = """
SELECT grouping(bucket, origin, actor, type), bucket, origin, actor, type,
       count(DISTINCT tx), count(*), min(origin)
FROM (
    SELECT width_bucket(ts, %(edges)s::bigint[]) - 1 AS bucket, origin,
           coalesce(actor, %(nobody)s) AS actor, type, tx
    FROM events_event WHERE {conditions}
) AS e
GROUP BY GROUPING SETS ((), (bucket, origin), (origin), (actor), (type))
"""
# The bits of grouping(): set where a column is not grouped by.
_TOTAL, _BUCKET, _ORIGIN, _ACTOR, _TYPE = 0b1111, 0b0011, 0b1011, 0b1101, 0b1110

# A page of lines, newest first (index: ts, event_id).
_LINES = """
SELECT ts, event_id, origin, entity_uid, type, actor, tx, raw
FROM events_event WHERE {conditions} AND (ts, event_id) < (%(ts)s, %(event_id)s)
ORDER BY ts DESC, event_id DESC LIMIT %(most)s
"""
_BUILT_IN = f"origin <> '{GENESIS}'"  # nobody did that
_CONDITIONS: Final[Mapping[str, str]] = {
    "start": "ts >= %(start)s",
    "end": "ts < %(end)s",
    "origin": "origin = %(origin)s",
    "actor": "coalesce(actor, %(nobody)s) = %(actor)s",
    "type": "type = %(type)s",
}


def count(wanted: Filter, edges: Sequence[int]) -> Counts:
    """Return the counts of a filter; ``edges`` are where the buckets start, in µs."""
    found: dict[int, dict[Any, Count]] = {
        which: {} for which in (_TOTAL, _BUCKET, _ORIGIN, _ACTOR, _TYPE)
    }
    origins = {}
    for which, bucket, origin, actor, kind, transactions, events, first in _rows(
        _COUNTS, wanted, edges=list(edges)
    ):
        key = {_BUCKET: (bucket, origin), _ORIGIN: origin, _ACTOR: actor, _TYPE: kind}.get(which)
        found[which][key] = Count(transactions, events)
        if which == _ACTOR and actor != NOBODY:
            origins[actor] = first
    total = found[_TOTAL].get(None, Count())
    return Counts(total, found[_BUCKET], found[_ORIGIN], found[_ACTOR], found[_TYPE], origins)


def lines(wanted: Filter) -> Iterator[Line]:
    """Yield the events of a filter, newest first; a page at a time, so memory stays flat."""
    place: dict[str, Any] = {"ts": wanted.end, "event_id": NOBODY}
    while True:
        rows = _rows(_LINES, wanted, **place, most=LINES_A_PAGE)
        for row in rows:
            yield Line._make((*row[:-1], json.loads(bytes(row[-1])).get("request_id", "")))
        if len(rows) < LINES_A_PAGE:
            return
        place = {"ts": rows[-1][0], "event_id": rows[-1][1]}


def _rows(statement: str, wanted: Filter, **more: Any) -> list[tuple[Any, ...]]:
    asked = {name: getattr(wanted, name) for name in _CONDITIONS}
    asked = {name: value for name, value in asked.items() if value is not None}
    conditions = " AND ".join([_BUILT_IN, *(_CONDITIONS[name] for name in asked)])
    with connection.cursor() as cursor:
        cursor.execute(statement.format(conditions=conditions), {**asked, **more, "nobody": NOBODY})
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return found
