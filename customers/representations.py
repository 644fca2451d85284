"""A customer as JSON: flat with its fields, or by detail as the model has it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from customers.differences import Change
from customers.kinds import DETAIL_TYPES, display_name
from customers.queries import Customer, DetailVersion, HistoryLine
from customers.resolving import choice_of
from customers.search import FieldScore, Hit
from events.envelope import Event, Fields
from events.items import Item, Side
from events.stamp import to_datetime


def flat(customer: Customer) -> dict[str, Any]:
    """Return the flat form: each known field, null where nothing is recorded."""
    values = customer.values
    return {
        "entity_uid": str(customer.entity_uid),
        "entity_type": customer.entity_type,
        "display_name": customer.display_name,
        **{code: values.get(code) for code in DETAIL_TYPES},
        **_life(customer),
    }


def detailed(customer: Customer) -> dict[str, Any]:
    """Return the form of the model: a list of details, each with since when and where from."""
    return {
        "entity_uid": str(customer.entity_uid),
        "entity_type": customer.entity_type,
        "display_name": customer.display_name,
        "details": details(customer.details),
        **_life(customer),
    }


def details(versions: Mapping[str, DetailVersion]) -> list[dict[str, Any]]:
    """Return details in the order of their codes."""
    return [
        {
            "detail_code": code,
            "value": dict(version.value),
            "valid_from": moment(version.valid_from),
            "valid_to": moment(version.valid_to),
            "origin": version.origin,
            "actor": _uid(version.actor),
        }
        for code, version in sorted(versions.items())
    ]


def history_line(line: HistoryLine) -> dict[str, Any]:
    """Return one version, in the promised words."""
    return {
        "detail_code": line.detail_code,
        "value": dict(line.value),
        "valid_from": moment(line.valid_from),
        "valid_to": moment(line.valid_to),
        "origin": line.origin,
        "actor": _uid(line.actor),
    }


def hit(found: Hit) -> dict[str, Any]:
    """Return a search hit: the flat customer, its score, and why."""
    return {
        **flat(found.customer),
        "score": round(found.score, 1),
        "fields": [_field_score(field) for field in found.fields],
    }


def change(one: Change) -> dict[str, Any]:
    """Return what differs in one field between two moments."""
    return {"detail_code": one.detail_code, "before": one.before, "after": one.after}


def conflict(item: Item) -> dict[str, Any]:
    """Return an item of the inbox: both sides, which one stands, and how it was settled."""
    outline, first = item.outline, item.sides[0]
    state = item.head.memo.state
    return {
        "item_id": outline.item_id,
        "entity_uid": str(outline.entity_uid),
        "display_name": display_name(state),
        "state": outline.state,
        "is_closing": item.group is None,
        "is_parked": item.head.parked_reason is not None,
        "group": first.group,
        "current": plain(state.get(first.group)),
        "sides": [_side(side) for side in item.sides],
        "resolution": _resolution(item),
    }


def plain(fields: Fields | None) -> Any:
    """Return the value of a group with one field, else all of them; None for none."""
    if fields is None:
        return None
    return fields.get("value") if fields.keys() <= {"value"} else dict(fields)


def _side(side: Side) -> dict[str, Any]:
    return {
        "group": side.group,
        "value": plain(side.fields),
        "is_readable": side.fields is not None,
        "is_kept": side.is_kept,
        **_said(side.event),
    }


def _resolution(item: Item) -> dict[str, Any] | None:
    if item.resolution is None:
        return None
    return {"choice": choice_of(item), **_said(item.resolution)}


def _said(event: Event) -> dict[str, Any]:
    return {
        "event_id": str(event.event_id),
        "at": moment(to_datetime(event.ts)),
        "origin": event.origin,
        "actor": _uid(event.actor),
    }


def moment(instant: datetime | None) -> str | None:
    """Return an instant in UTC, to the µs, always in the same form; None stays None."""
    if instant is None:
        return None
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _life(customer: Customer) -> dict[str, Any]:
    return {
        "created_at": moment(customer.created_at),
        "updated_at": moment(customer.updated_at),
        "is_deleted": customer.is_deleted,
    }


def _field_score(field: FieldScore) -> dict[str, Any]:
    return {
        "field": field.code,
        "asked": field.asked,
        "listed": field.listed,
        "score": round(field.score, 1),
        "note": str(field.note),
    }


def _uid(uid: object) -> str | None:
    return None if uid is None else str(uid)
