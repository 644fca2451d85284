"""The audit log: one line per changed detail, read from the events, so nothing can be missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from events import keys, log
from events.envelope import Event, Fields, from_raw
from events.errors import MissingKey
from events.fold import DELETED
from events.genesis import ORIGIN as GENESIS
from events.models import Event as StoredEvent
from events.stamp import to_datetime, to_micros

INSERT, UPDATE, DELETE = "INSERT", "UPDATE", "DELETE"


@dataclass(frozen=True, slots=True)
class Filters:
    """What to read; ``start`` and ``end`` are both within the period."""

    entity_uid: UUID | None = None
    actor: UUID | None = None
    origin: str | None = None
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """Who changed what, when and where, from which value to which.

    ``group`` is the detail code, None for an event that only withdraws or settles others.
    ``before`` is the value its author had in view. ``is_sealed``: its key is not at hand here.
    """

    event_id: UUID
    at: datetime
    effective_at: datetime
    actor: UUID | None
    origin: str
    action: str
    type: str
    entity_uid: UUID
    group: str | None
    before: Fields | None
    after: Fields | None
    reason: str | None
    request_id: str
    is_sealed: bool = False


def lines(filters: Filters, *, limit: int, offset: int = 0) -> list[Line]:
    """Return the lines of ``limit`` events, the newest first; what is built in has none."""
    rows = StoredEvent.objects.exclude(origin=GENESIS)
    for name, value in (
        ("entity_uid", filters.entity_uid),
        ("actor", filters.actor),
        ("origin", filters.origin),
        ("ts__gte", filters.start and to_micros(filters.start)),
        ("ts__lte", filters.end and to_micros(filters.end)),
    ):
        if value is not None:
            rows = rows.filter(**{name: value})
    ids = rows.order_by("-ts", "-event_id").values_list("event_id", flat=True)
    return list(_lines(_opened(ids[offset : offset + limit])))


def _opened(event_ids: Iterable[UUID]) -> list[tuple[Event, bool]]:
    """Return events in the order of their ids, and whether each could be opened."""
    wanted = list(event_ids)
    stored = log.by_id(wanted)
    return [_open(stored[event_id]) for event_id in wanted if event_id in stored]


def _open(stored: log.Stored) -> tuple[Event, bool]:
    try:
        return keys.open_event(*stored), True
    except MissingKey:
        return from_raw(stored[0]), False


def _lines(events: Sequence[tuple[Event, bool]]) -> Iterator[Line]:
    bases = {
        base.event_id
        for event, _ in events
        for group, base in event.base.items()
        if base is not None and group in event.set
    }
    before = {event.event_id: event.set for event, is_open in _opened(bases) if is_open}
    for event, is_open in events:
        groups: list[str | None] = [*event.set] or [None]
        for group in groups:
            yield _line(event, is_open, group, before)


def _line(
    event: Event, is_open: bool, group: str | None, known: Mapping[UUID, Mapping[str, Fields]]
) -> Line:
    base = event.base.get(group) if group is not None else None
    before = known.get(base.event_id, {}).get(group or "") if base is not None else None
    after = event.set.get(group) if group is not None and is_open else None
    return Line(
        event_id=event.event_id,
        at=to_datetime(event.ts),
        effective_at=to_datetime(event.effective_at),
        actor=event.actor,
        origin=event.origin,
        action=_action(group, before, after) if is_open else UPDATE,
        type=event.type,
        entity_uid=event.entity_uid,
        group=group,
        before=before if _says(before) else None,
        after=after if _says(after) else None,
        reason=event.reason,
        request_id=event.request_id,
        is_sealed=not is_open,
    )


def _action(group: str | None, before: Fields | None, after: Fields | None) -> str:
    if group == DELETED:
        return DELETE if after == {"value": True} else INSERT
    if not _says(after):
        return UPDATE if group is None else DELETE
    return UPDATE if _says(before) else INSERT


def _says(fields: Fields | None) -> bool:
    return fields is not None and any(value is not None for value in fields.values())
