"""What locations that cannot reach each other write, and how it arrives here."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any
from uuid import UUID

from accounts.authors import now_us
from customers.kinds import ENTITY
from customers.tests.browsing import change, enter
from events import heads, items, keys
from events.drafting import Author, Draft, events_of
from events.envelope import Event, to_raw
from events.heads import Head
from events.items import Item
from events.log import Sealed
from events.recorder import Received, receive


def head_of(uid: UUID) -> Head:
    """Return how a record stands; a location that is cut off goes on from it."""
    return heads.read([uid])[uid]


def write_elsewhere(
    seen: Head,
    values: Mapping[str, Any],
    origin: str = "loc2",
    *,
    now: int | None = None,
    is_key_here: bool = True,
    **given: Any,
) -> Event:
    """Write as a location that has ``seen`` a record no later than so; the event arrives here."""
    uid, groups = seen.entity_uid, {group: {"value": value} for group, value in values.items()}
    draft = Draft(uid, given.pop("type", "customers.details_changed"), groups, ENTITY, **given)
    author = Author(None, origin, now_us() if now is None else now, "request-elsewhere")
    (event,) = events_of([draft], {uid: seen}, author)
    sealed = Sealed(event, to_raw(event))
    if event.subject_uid is not None:
        key = sha256(f"{uid} {origin}".encode()).digest()  # one per person and origin
        raw, ct = keys.seal(event, ENTITY.clear_groups, key)
        wrapped = keys.wrap(key)
        sealed = Sealed(
            keys.open_event(raw, ct, wrapped), raw, ct, wrapped if is_key_here else None
        )
    receive([sealed], Received(now_us()))
    return event


def disputed(
    group: str = "phone", mine: str | None = "11", theirs: str | None = "22", **values: Any
) -> UUID:
    """Enter a customer whose one field is then changed at loc1 and, unaware of that, at loc2."""
    uid = enter(surname="Rayleigh", **values)
    seen = head_of(uid)
    mine_now: dict[str, Any] = {group: mine}
    change(uid, **mine_now)
    write_elsewhere(seen, {group: theirs})
    return uid


def closed_beside_edits(*groups: str) -> UUID:
    """Enter a customer that loc1 closes while loc2 changes ``groups``, an event each."""
    uid = enter(surname="Rayleigh")
    seen = head_of(uid)
    for group in groups or ("phone",):
        write_elsewhere(seen, {group: f"new {group}"})
    delete_elsewhere(seen, "loc3")
    return uid


def delete_elsewhere(seen: Head, origin: str = "loc2") -> Event:
    """Close a record as a location that has ``seen`` it no later than so."""
    return write_elsewhere(seen, {"deleted": True}, origin, type="customers.entity_deleted")


def items_of(uid: UUID) -> list[Item]:
    """Return all items of a record, settled or not."""
    return items.page(items.Filter(entity_uid=uid))


def item_of(uid: UUID) -> Item:
    """Return the only item of a record."""
    (item,) = items_of(uid)
    return item


def id_of(uid: UUID) -> str:
    """Return the id of a record's only item."""
    return item_of(uid).outline.item_id
