"""Lists for the API: present customers by filter, and all as they were at a moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from customers import queries, representations
from customers.models import Entity, EntityDetail
from customers.queries import Customer

MAX_TERMS = 20


@dataclass(frozen=True, slots=True)
class Filter:
    """What a list is narrowed to; None narrows nothing."""

    q: str | None = None
    entity_type: str | None = None
    detail_code: str | None = None


def page(narrowed: Filter, offset: int, limit: int) -> tuple[int, list[Customer]]:
    """Return how many present customers there are, and a page of them, by name."""
    rows = _filtered(queries.present(), narrowed)
    uids = rows.values_list("entity_uid", flat=True)[offset : offset + limit]
    return rows.count(), queries.customers(uids)


def page_as_of(instant: datetime, offset: int, limit: int) -> tuple[int, list[dict[str, Any]]]:
    """Return how many customers there were at ``instant``, and a page of them, by uid."""
    rows = queries.as_of(instant).filter(merged_into__isnull=True)
    shown = list(rows[offset : offset + limit])
    details = queries.details_as_of([row.entity_uid for row in shown], instant)
    return rows.count(), [
        {
            "entity_uid": str(row.entity_uid),
            "entity_type": row.entity_type,
            "display_name": row.display_name,
            "details": representations.details(details.get(row.entity_uid, {})),
        }
        for row in shown
    ]


def _filtered(rows: QuerySet[Entity], narrowed: Filter) -> QuerySet[Entity]:
    for term in (narrowed.q or "").split():
        says_it = EntityDetail.objects.filter(_own(), value__value__icontains=term)
        rows = rows.filter(Q(display_name__icontains=term) | Exists(says_it))
    if narrowed.entity_type is not None:
        rows = rows.filter(entity_type=narrowed.entity_type)
    if narrowed.detail_code is not None:
        has_it = EntityDetail.objects.filter(_own(), detail_code=narrowed.detail_code)
        rows = rows.filter(Exists(has_it))
    return rows


def _own() -> Q:
    return Q(entity_uid=OuterRef("entity_uid"), valid_to__isnull=True)
