"""What differs between two moments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q

from customers.models import Entity, EntityDetail
from customers.queries import narrow

Value = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """A field of an entity before and after a period; None where there was no value."""

    entity_uid: UUID
    detail_code: str | None
    before: Value | None
    after: Value | None


def diff(start: datetime, end: datetime, entity_uid: UUID | None = None) -> Sequence[Change]:
    """Return what differs between two moments, by entity and field."""
    sides: dict[tuple[UUID, str | None], list[Value | None]] = {}
    for row, code, value in _moved(start, end, entity_uid):
        side = sides.setdefault((row.entity_uid, code), [None, None])
        for index, at in enumerate((start, end)):
            if row.valid_from <= at and (row.valid_to is None or row.valid_to > at):
                side[index] = value
    changes = [
        Change(uid, code, before, after)
        for (uid, code), (before, after) in sides.items()
        if before != after
    ]
    return sorted(changes, key=lambda change: (change.entity_uid, change.detail_code or ""))


def _moved(
    start: datetime, end: datetime, entity_uid: UUID | None
) -> Iterator[tuple[Entity | EntityDetail, str | None, Value]]:
    """Yield the versions that began or ended within the period."""
    moved = Q(valid_from__gt=start, valid_from__lte=end) | Q(valid_to__gt=start, valid_to__lte=end)
    if entity_uid is not None:
        moved &= Q(entity_uid=entity_uid)
    entities: Iterable[Entity] = Entity.objects.filter(moved)
    details: Iterable[EntityDetail] = EntityDetail.objects.filter(moved)
    yield from ((row, None, narrow(row)) for row in entities)
    yield from ((row, row.detail_code, row.value) for row in details)
