"""The access log of a period, counted by PostgreSQL, and line by line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import connection

from accounts.access import OK
from events.reports import NOBODY  # here: who was not signed in

REFUSED: Final = "refused"  # as an outcome to ask for: any other than OK
LINES_A_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class Filter:
    """Which lines: from ``start`` on and before ``end``. None narrows nothing."""

    start: datetime
    end: datetime
    location: str | None = None
    actor: UUID | None = None
    kind: str | None = None
    outcome: str | None = None


class Count(NamedTuple):
    """How many lines, and how many of them say that something was refused."""

    lines: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Counts:
    """The same lines, counted in each way together with their kind; buckets are numbered from 0."""

    by_bucket: Mapping[tuple[int, str], Count] = field(default_factory=dict)
    by_location: Mapping[tuple[str, str], Count] = field(default_factory=dict)
    by_actor: Mapping[tuple[UUID, str], Count] = field(default_factory=dict)
    by_outcome: Mapping[tuple[str, str], Count] = field(default_factory=dict)


class Line(NamedTuple):
    """One line, without the address it came from."""

    at: datetime
    id: int
    uid: UUID
    kind: str
    actor: UUID | None
    location: str
    route: str
    outcome: str
    request_id: str


# All counts of a report, in one pass over the period (index: at, id).
_COUNTS = f"""
SELECT grouping(bucket, location, actor, outcome), bucket, location, actor, outcome, kind,
       count(*), count(*) FILTER (WHERE outcome <> '{OK}')
FROM (
    SELECT width_bucket(at, %(edges)s::timestamptz[]) - 1 AS bucket, location,
           coalesce(actor, %(nobody)s) AS actor, outcome, kind
    FROM accounts_access WHERE {{conditions}}
) AS a
GROUP BY GROUPING SETS ((bucket, kind), (location, kind), (actor, kind), (outcome, kind))
"""
# The bits of grouping(): set where a column is not grouped by.
_BUCKET, _LOCATION, _ACTOR, _OUTCOME = 0b0111, 0b1011, 0b1101, 0b1110

# A page of lines, newest first (index: at, id).
_LINES = """
SELECT at, id, uid, kind, actor, location, route, outcome, request_id
FROM accounts_access WHERE {conditions} AND (at, id) < (%(before)s, %(id)s)
ORDER BY at DESC, id DESC LIMIT %(most)s
"""
_CONDITIONS: Final[Mapping[str, str]] = {
    "start": "at >= %(start)s",
    "end": "at < %(end)s",
    "location": "location = %(location)s",
    "actor": "coalesce(actor, %(nobody)s) = %(actor)s",
    "kind": "kind = %(kind)s",
    "outcome": "outcome = %(outcome)s",
}
_REFUSED = {"outcome": f"outcome <> '{OK}'"}


def count(wanted: Filter, edges: Sequence[datetime]) -> Counts:
    """Return the counts of a filter; ``edges`` are where the buckets start."""
    found: dict[int, dict[Any, Count]] = {
        which: {} for which in (_BUCKET, _LOCATION, _ACTOR, _OUTCOME)
    }
    for which, bucket, location, actor, outcome, kind, *numbers in _rows(
        _COUNTS, wanted, edges=list(edges)
    ):
        key = {_BUCKET: bucket, _LOCATION: location, _ACTOR: actor, _OUTCOME: outcome}[which]
        found[which][key, kind] = Count(*numbers)
    return Counts(*found.values())


def lines(wanted: Filter) -> Iterator[Line]:
    """Yield the lines of a filter, newest first; a page at a time, so memory stays flat."""
    place: dict[str, Any] = {"before": wanted.end, "id": 0}
    while True:
        rows = _rows(_LINES, wanted, **place, most=LINES_A_PAGE)
        yield from (Line(*row) for row in rows)
        if len(rows) < LINES_A_PAGE:
            return
        place = {"before": rows[-1][0], "id": rows[-1][1]}


def _rows(statement: str, wanted: Filter, **more: Any) -> list[tuple[Any, ...]]:
    asked = {name: getattr(wanted, name) for name in _CONDITIONS}
    asked = {name: value for name, value in asked.items() if value is not None}
    known = {**_CONDITIONS, **(_REFUSED if wanted.outcome == REFUSED else {})}
    conditions = " AND ".join(known[name] for name in asked)
    with connection.cursor() as cursor:
        cursor.execute(statement.format(conditions=conditions), {**asked, **more, "nobody": NOBODY})
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return found
