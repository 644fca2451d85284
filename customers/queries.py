"""What is, was, and was thought to be: reads of the versioned rows and of the log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet

from customers.kinds import ENTITY
from customers.models import Entity, EntityDetail
from events import conflicts, heads, log, sql
from events.envelope import Event as LoggedEvent
from events.envelope import from_raw
from events.errors import Unknown
from events.fold import Version, fold
from events.heads import Head, etag
from events.models import Event
from events.stamp import Stamp, to_datetime, to_micros


@dataclass(frozen=True, slots=True)
class DetailVersion:
    """A value with who said it, when and where."""

    value: Mapping[str, Any]
    valid_from: datetime
    valid_to: datetime | None
    origin: str
    actor: UUID | None
    event_id: UUID


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer at one moment; ``stamps`` and ``etag`` are those of now, for the next write."""

    entity_uid: UUID
    entity_type: str
    display_name: str
    is_deleted: bool
    merged_into: UUID | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    details: Mapping[str, DetailVersion] = field(default_factory=dict)
    stamps: Mapping[str, Stamp] = field(default_factory=dict)
    is_parked: bool = False

    @property
    def values(self) -> dict[str, Any]:
        """The plain value of each detail that has one."""
        return {code: version.value.get("value") for code, version in self.details.items()}

    @property
    def etag(self) -> str:
        """The hash of the whole map of stamps."""
        return etag(self.stamps)


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """One version of the entity row (``detail_code`` None) or of one detail."""

    detail_code: str | None
    value: Mapping[str, Any]
    valid_from: datetime
    valid_to: datetime | None
    origin: str
    actor: UUID | None
    event_id: UUID


def get(entity_uid: UUID) -> Customer:
    """Return a customer as it is now, also a closed one; ``Unknown`` if there is none."""
    found = customers([entity_uid])
    if not found:
        raise Unknown(entity_uid)
    return found[0]


@sql.snapshot()
def customers(uids: Iterable[UUID]) -> list[Customer]:
    """Return those of ``uids`` that are customers, in their order."""
    wanted = list(uids)
    known = {
        uid: head
        for uid, head in heads.read(wanted).items()
        if head.kind_name == ENTITY.name and (head.exists or head.parked_reason)
    }
    rows = {row.entity_uid: row for row in Entity.objects.filter(_at(None), entity_uid__in=known)}
    detail_rows = _details(known, _at(None))
    return [
        _customer(known[uid], rows.get(uid), detail_rows.get(uid, {}))
        for uid in wanted
        if uid in known
    ]


def present(order: str = "name") -> QuerySet[Entity]:
    """Return the current entity rows of customers that are not merged away, in ``order``."""
    rows = Entity.objects.filter(valid_to__isnull=True, merged_into__isnull=True)
    by_name = ("display_name", "entity_uid")
    return rows.order_by(*(by_name if order == "name" else ("-valid_from", "entity_uid")))


def deleted_uids() -> list[UUID]:
    """Return the closed customers, the last changed first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT entity_uid FROM events_entityhead"
            " WHERE is_deleted AND kind = %s ORDER BY last_ts DESC",
            [ENTITY.name],
        )
        return [uid for (uid,) in cursor.fetchall()]


def as_of(instant: datetime, uids: Iterable[UUID] | None = None) -> QuerySet[Entity]:
    """Return the entity rows that were valid at ``instant``, in uid order."""
    rows = Entity.objects.filter(_at(instant)).order_by("entity_uid")
    return rows if uids is None else rows.filter(entity_uid__in=list(uids))


@sql.snapshot()
def customer_as_of(
    entity_uid: UUID, instant: datetime | None, known_at: datetime | None = None
) -> Customer | None:
    """Return a customer as it was at ``instant``, as this location knew it at ``known_at``.

    None if there was none, or it was closed. Raises ``Unknown`` if there never was one,
    ``MissingKey`` or ``UndecodableEvent`` if one of its events cannot be read here.
    """
    head = heads.read([entity_uid]).get(entity_uid)
    if head is None or head.kind_name != ENTITY.name:
        raise Unknown(entity_uid)
    events = log.load([entity_uid], known_at)[entity_uid]
    at = None if instant is None else to_micros(instant)
    shown = [version for version in fold(events, ENTITY.rows).versions if _covers(version, at)]
    authors = {event.event_id: event for event in events}
    entity = [version for version in shown if version.key.table == "entity"]
    if not entity:
        return None
    return Customer(
        entity_uid=entity_uid,
        entity_type=entity[0].values["entity_type"],
        display_name=entity[0].values["display_name"],
        merged_into=entity[0].values["merged_into"],
        is_deleted=False,
        created_at=to_datetime(min(event.ts for event in events)),
        updated_at=to_datetime(max(event.ts for event in events)),
        details={
            version.key.code: _said(version, authors)
            for version in shown
            if version.key.table == "detail"
        },
    )


def _said(version: Version, authors: Mapping[UUID, LoggedEvent]) -> DetailVersion:
    assert version.event_id is not None  # a fold of all events knows who opened each version
    author = authors[version.event_id]
    return DetailVersion(
        version.values["value"],
        to_datetime(version.valid_from),
        None if version.valid_to is None else to_datetime(version.valid_to),
        author.origin,
        author.actor,
        author.event_id,
    )


@sql.snapshot()
def history(entity_uid: UUID) -> list[HistoryLine]:
    """Return all versions, oldest first; equal at every location with the same events."""
    head = heads.read([entity_uid]).get(entity_uid)
    if head is None or head.kind_name != ENTITY.name:
        raise Unknown(entity_uid)
    rows = [
        *((row, None, narrow(row)) for row in Entity.objects.filter(entity_uid=entity_uid)),
        *(
            (row, row.detail_code, row.value)
            for row in EntityDetail.objects.filter(entity_uid=entity_uid)
        ),
    ]
    authors = _authors(row.event_id for row, _, _ in rows)
    lines = [
        HistoryLine(
            code,
            value,
            row.valid_from,
            row.valid_to,
            *authors[row.event_id],
            row.event_id,
        )
        for row, code, value in rows
    ]
    return sorted(lines, key=lambda line: (line.valid_from, line.detail_code or ""))


def parallel(entity_uid: UUID) -> dict[UUID, list[str]]:
    """Return, by event, the locations of earlier changes that its author had not heard of.

    What an author knew stands in the clear part of the event: nothing has to be opened.
    """
    raws = Event.objects.filter(entity_uid=entity_uid).values_list("raw", flat=True)
    events = [log.as_shown(from_raw(bytes(raw))) for raw in raws]
    return {
        event_id: sorted({event.origin for event in others})
        for event_id, others in conflicts.parallel(events).items()
    }


def narrow(row: Entity) -> dict[str, Any]:
    """Return the columns of the entity row as a value."""
    return {
        "entity_type": row.entity_type,
        "display_name": row.display_name,
        "merged_into": row.merged_into and str(row.merged_into),
    }


def _customer(head: Head, row: Entity | None, detail_rows: Mapping[str, DetailVersion]) -> Customer:
    memo = head.memo
    state_type = memo.state.get("type", {}).get("value") or "PERSON"
    return Customer(
        entity_uid=head.entity_uid,
        entity_type=row.entity_type if row else state_type,
        display_name=row.display_name if row else _last_name(head),
        is_deleted=memo.is_deleted,
        merged_into=row.merged_into if row else None,
        created_at=to_datetime(memo.first_ts),
        updated_at=to_datetime(memo.last_ts),
        details=detail_rows,
        stamps=memo.stamps,
        is_parked=head.parked_reason is not None,
    )


def _last_name(head: Head) -> str:
    """The name a closed record would show: what was folded beneath."""
    open_state = {g: f for g, f in head.memo.state.items() if g != "deleted"}
    rows = [row for row in ENTITY.rows(open_state, None) if row.key.table == "entity"]
    return str(rows[0].values["display_name"]) if rows else ""


def _details(uids: Iterable[UUID], at: Q) -> dict[UUID, dict[str, DetailVersion]]:
    rows = list(EntityDetail.objects.filter(at, entity_uid__in=list(uids)))
    authors = _authors(row.event_id for row in rows)
    found: dict[UUID, dict[str, DetailVersion]] = {}
    for row in rows:
        found.setdefault(row.entity_uid, {})[row.detail_code] = DetailVersion(
            row.value,
            row.valid_from,
            row.valid_to,
            *authors[row.event_id],
            row.event_id,
        )
    return found


def details_as_of(uids: Iterable[UUID], instant: datetime) -> dict[UUID, dict[str, DetailVersion]]:
    """Return the details that were valid at ``instant``, by entity and code."""
    return _details(uids, _at(instant))


def _authors(event_ids: Iterable[UUID]) -> dict[UUID, tuple[str, UUID | None]]:
    rows = Event.objects.filter(event_id__in=set(event_ids))
    return {
        uid: (origin, actor)
        for uid, origin, actor in rows.values_list("event_id", "origin", "actor")
    }


def _at(instant: datetime | None) -> Q:
    if instant is None:
        return Q(valid_to__isnull=True)
    return Q(valid_from__lte=instant) & (Q(valid_to__isnull=True) | Q(valid_to__gt=instant))


def _covers(version: Version, at: int | None) -> bool:
    if at is None:
        return version.valid_to is None
    return version.valid_from <= at and (version.valid_to is None or version.valid_to > at)
