"""What an author had in view when a form was made, sealed so that it comes back unchanged.

A page cannot be trusted with the stamps a write is judged by: with the head's present stamps put
in, a stale form would silently win over what its author never saw.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from django.core import signing

from customers.queries import Customer
from events.items import Item
from events.stamp import Stamp, known_stamp

_SALT = "customers.sealed"
_ITEM_SALT = "customers.sealed.item"


@dataclass(frozen=True, slots=True)
class View:
    """The stamps and values of a customer that stood in a form."""

    stamps: Mapping[str, Stamp]
    values: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class ItemView:
    """A conflict that stood in a form, and the stamps its record had then."""

    item_id: str
    entity_uid: UUID
    stamps: Mapping[str, Stamp]


def seal(customer: Customer) -> str:
    """Return the hidden field's text for a form about ``customer``."""
    seen = {
        "uid": str(customer.entity_uid),
        "stamps": _json_of(customer.stamps),
        "values": customer.values,
    }
    return signing.dumps(seen, salt=_SALT, compress=True)


def unseal(text: str, entity_uid: UUID) -> View | None:
    """Return what ``seal`` put away; None if it was altered or belongs to another customer."""
    try:
        seen = signing.loads(text, salt=_SALT)
    except signing.BadSignature:
        return None
    if seen["uid"] != str(entity_uid):
        return None
    return View(_stamps_of(seen["stamps"]), seen["values"])


def seal_item(item: Item) -> str:
    """Return the text that stands for a conflict in a form: what it is and rests on."""
    seen = {
        "item": item.outline.item_id,
        "uid": str(item.outline.entity_uid),
        "stamps": _json_of(item.head.memo.stamps),
    }
    return signing.dumps(seen, salt=_ITEM_SALT, compress=True)


def unseal_item(text: str) -> ItemView | None:
    """Return what ``seal_item`` put away; None if it was altered."""
    try:
        seen = signing.loads(text, salt=_ITEM_SALT)
    except signing.BadSignature:
        return None
    return ItemView(seen["item"], UUID(seen["uid"]), _stamps_of(seen["stamps"]))


def _json_of(stamps: Mapping[str, Stamp]) -> dict[str, list[int | str]]:
    return {group: stamp.to_json() for group, stamp in stamps.items()}


def _stamps_of(document: Mapping[str, list[int | str]]) -> dict[str, Stamp]:
    return {group: known_stamp(stamp) for group, stamp in document.items()}
