"""The audit log, read from the events: one line for each changed detail, newest first.

Who, when, where, what it was before (the value its author knew: that of the event under ``base``)
and what it became. There is no second table that could be forgotten or altered.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from events import log, sql
from events.envelope import Event, Fields
from events.fold import DELETED
from events.genesis import ORIGIN as GENESIS
from events.registry import kind_of_type
from events.stamp import Stamp, to_datetime, to_micros

INSERT, UPDATE, DELETE = OPERATIONS = ("INSERT", "UPDATE", "DELETE")
SCANNED = 2000  # events that one page looks through for lines of one operation; at least 2


@dataclass(frozen=True, slots=True)
class Line:
    """One changed detail; ``detail_code`` is None for the entity itself (type, name, deleted).

    ``before`` and ``after`` are the group's fields; None where there was no value or it cannot be
    read here.
    """

    at: datetime
    actor: UUID | None
    origin: str
    operation: str
    entity_uid: UUID
    detail_code: str | None
    group: str
    before: Fields | None
    after: Fields | None
    effective: datetime
    reason: str | None
    event_id: UUID
    event_type: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Filter:
    """Which lines; ``start`` and ``end`` are both within. None narrows nothing."""

    entity_uid: UUID | None = None
    actor: UUID | None = None
    origin: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    operation: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ended: after ``lines`` lines of this event."""

    ts: int
    event_id: UUID
    lines: int

    def to_text(self) -> str:
        """Return the form that stands in addresses."""
        return f"{self.ts}.{self.event_id}.{self.lines}"


def place_of(text: str) -> Place:
    """Return the place that ``Place.to_text`` wrote; ``ValueError`` if it is none."""
    match = re.fullmatch(PLACE, text)
    if match is None:
        raise ValueError("not a place in the log")
    return Place(int(match[1]), UUID(match[2]), int(match[3]))


PLACE = r"([0-9]{1,18})\.([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.([0-9]{1,6})"

# The events of a page, newest first; a page begins within the event where the last one ended.
_EVENTS = """
SELECT e.raw, s.ct, k.wrapped
FROM (
    SELECT event_id, raw, ts, subject_uid, origin FROM events_event
    WHERE {conditions} ORDER BY ts DESC, event_id DESC LIMIT %(most)s
) AS e
LEFT JOIN events_eventsecret s USING (event_id)
LEFT JOIN events_subjectkey k ON k.subject_uid = e.subject_uid AND k.origin = e.origin
ORDER BY e.ts DESC, e.event_id DESC
"""
_BUILT_IN = f"origin <> '{GENESIS}'"  # nobody did that
_CONDITIONS = {
    "entity_uid": "entity_uid = %(entity_uid)s",
    "actor": "actor = %(actor)s",
    "origin": "origin = %(origin)s",
    "start": "ts >= %(start)s",
    "end": "ts <= %(end)s",
    "ts": "(ts, event_id) <= (%(ts)s, %(event_id)s)",
}


def page(wanted: Filter, limit: int, after: Place | None = None) -> tuple[list[Line], Place | None]:
    """Return at most ``limit`` lines, and where to go on; None at the end of the log.

    With an operation a page may hold fewer lines, even none, and still go on: values are sealed,
    so it looks through that many events and no more. Two statements, whatever the limit.
    """
    most = limit + 1 if wanted.operation is None else SCANNED
    events = _events(wanted, most, after)
    known = _based_on(events)
    lines: list[Line] = []
    for event in events:
        begun = after.lines if after is not None and event.event_id == after.event_id else 0
        for number, line in enumerate(_lines(event, known)):
            if number < begun or wanted.operation not in {None, line.operation}:
                continue
            if len(lines) == limit:
                return lines, Place(event.ts, event.event_id, number)
            lines.append(line)
    if len(events) < most:
        return lines, None
    last = events[-1]
    return lines, Place(last.ts, last.event_id, len(last.set))


def _events(wanted: Filter, most: int, after: Place | None) -> list[Event]:
    parameters: dict[str, Any] = {
        "entity_uid": wanted.entity_uid,
        "actor": wanted.actor,
        "origin": wanted.origin,
        "start": None if wanted.start is None else to_micros(wanted.start),
        "end": None if wanted.end is None else to_micros(wanted.end),
        "ts": None if after is None else after.ts,
    }
    asked = {name: value for name, value in parameters.items() if value is not None}
    conditions = " AND ".join([_BUILT_IN, *(_CONDITIONS[name] for name in asked)])
    if after is not None:
        asked["event_id"] = after.event_id
    answer = sql.execute(_EVENTS.format(conditions=conditions), {**asked, "most": most})
    return [log.readable((raw, ct, wrapped)) for raw, ct, wrapped in answer.rows()]


def _based_on(events: Sequence[Event]) -> Mapping[UUID, Event]:
    """Return the events under the bases of ``events``, all read at once."""
    at_hand = {event.event_id: event for event in events}
    named = {stamp.event_id for event in events for stamp in _bases(event)}
    stored = log.by_id(named - at_hand.keys())
    return at_hand | {event_id: log.readable(item) for event_id, item in stored.items()}


def _bases(event: Event) -> Iterator[Stamp]:
    for group in event.set:
        stamp = event.base.get(group)
        if stamp is not None:
            yield stamp


def _lines(event: Event, known: Mapping[UUID, Event]) -> Iterator[Line]:
    for group in sorted(event.set):
        base = event.base.get(group)
        earlier = None if base is None else known.get(base.event_id)
        before, after = None if earlier is None else earlier.set.get(group), event.set[group]
        yield Line(
            at=to_datetime(event.ts),
            actor=event.actor,
            origin=event.origin,
            operation=_operation(group, before, after, is_first=base is None),
            entity_uid=event.entity_uid,
            detail_code=group if _is_detail(event.type, group) else None,
            group=group,
            before=before if _has_value(before) else None,
            after=after if _has_value(after) else None,
            effective=to_datetime(event.effective_at),
            reason=event.reason,
            event_id=event.event_id,
            event_type=event.type,
            request_id=event.request_id,
        )


def _has_value(fields: Fields | None) -> bool:
    return fields is not None and any(value is not None for value in fields.values())


def _operation(group: str, before: Fields | None, after: Fields, *, is_first: bool) -> str:
    """Say what a change of one group is; to close a record deletes it, to open it inserts it.

    A group without any field is one that cannot be read here.
    """
    if group == DELETED:
        return DELETE if after.get("value") else INSERT
    if after and not _has_value(after):
        return DELETE
    return INSERT if is_first or (before and not _has_value(before)) else UPDATE


@cache
def _is_detail(event_type: str, group: str) -> bool:
    """Whether the group makes a row of its own, told apart by its code."""
    kind = kind_of_type(event_type)
    rows: Iterable[Any] = () if kind is None else kind.rows({group: {"value": ""}}, None)
    return any(row.key.code == group for row in rows)
