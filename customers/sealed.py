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
from events.stamp import Stamp, stamp_from_json

_SALT = "customers.sealed"


@dataclass(frozen=True, slots=True)
class View:
    """The stamps and values of a customer that stood in a form."""

    stamps: Mapping[str, Stamp]
    values: Mapping[str, str | None]


def seal(customer: Customer) -> str:
    """Return the hidden field's text for a form about ``customer``."""
    seen = {
        "uid": str(customer.entity_uid),
        "stamps": {group: stamp.to_json() for group, stamp in customer.stamps.items()},
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
    stamps = {group: stamp_from_json(stamp) for group, stamp in seen["stamps"].items()}
    return View({g: stamp for g, stamp in stamps.items() if stamp is not None}, seen["values"])
