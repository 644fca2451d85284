"""Everything that can be done to a customer; pages, API and files all end here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from customers import details
from customers.kinds import ENTITY
from events import heads, log, recovery
from events.drafting import Author, Draft
from events.envelope import Fields
from events.errors import AlreadyExists, InvalidValue, Unknown
from events.recorder import record
from events.stamp import Stamp, uuid7

Values = Mapping[str, Any]  # {detail code: value or None}


@dataclass(frozen=True, slots=True)
class Basis:
    """What the author had in view: the sealed map of a form, or the ETag of a GET."""

    known: Mapping[str, Stamp] | None = None
    if_match: str | None = None


@dataclass(frozen=True, slots=True)
class When:
    """When a change takes effect (µs; None: now), and why it is made."""

    effective: int | None = None
    reason: str | None = None


MAX_REASON = 1000
NO_BASIS = Basis()
NOW = When()


def create_customer(
    values: Values,
    author: Author,
    *,
    entity_uid: UUID | None = None,
    entity_type: str = "PERSON",
    display_name: str | None = None,
    when: When = NOW,
) -> tuple[UUID, bool]:
    """Enter a customer; return its uid, and False if the very same was entered before.

    Raises ``AlreadyExists`` for a uid that stands for other data, ``InvalidValue`` for a value
    that is not of its form or if there is none at all.
    """
    wanted = new_groups(values, entity_type, display_name)
    uid = entity_uid or uuid7(author.now)
    try:
        record([new_draft(uid, wanted, when)], author)
    except AlreadyExists:
        if not _said_before(uid, wanted):
            raise
        return uid, False
    return uid, True


def new_groups(values: Values, entity_type: str, display_name: str | None) -> dict[str, Fields]:
    """Return the groups of a new customer; ``InvalidValue`` if nothing identifies it."""
    groups = details.groups_of(values) | _naming(display_name)
    said = {group: fields for group, fields in groups.items() if fields["value"] is not None}
    if not said:
        raise InvalidValue("values", "at least one value is needed, such as a surname")
    return {"type": {"value": details.checked_type(entity_type)}, **said}


def new_draft(uid: UUID, groups: Mapping[str, Fields], when: When = NOW) -> Draft:
    """Return the draft that enters a customer."""
    return Draft(
        entity_uid=uid,
        type="customers.entity_created",
        set=groups,
        kind=ENTITY,
        effective=when.effective,
        reason=_reason(when),
        is_new=True,
    )


def change_customer(
    entity_uid: UUID,
    values: Values,
    author: Author,
    *,
    entity_type: str | None = None,
    display_name: str | None = None,
    basis: Basis = NO_BASIS,
    when: When = NOW,
) -> bool:
    """Change details; a value of None removes one. Return False if all of it was so already.

    Raises ``Unknown``, ``InvalidValue``, ``Parked``, or ``Stale`` if the record has changed in
    what the author sets since they read it.
    """
    groups = details.groups_of(values) | _naming(display_name)
    if entity_type is not None:
        groups["type"] = {"value": details.checked_type(entity_type)}
    return _record(entity_uid, "customers.details_changed", groups, author, basis, when)


def delete_customer(
    entity_uid: UUID,
    author: Author,
    *,
    basis: Basis = NO_BASIS,
    reason: str | None = None,
) -> bool:
    """Close a customer: no version stays open, all history stays. False if closed already."""
    closed = {"deleted": {"value": True}}
    return _record(
        entity_uid,
        "customers.entity_deleted",
        closed,
        author,
        basis,
        When(reason=reason),
    )


def restore_customer(entity_uid: UUID, author: Author, *, reason: str | None = None) -> bool:
    """Open a closed customer again, with what was entered meanwhile. False if it is open."""
    opened = {"deleted": {"value": False}}
    recovery.refuse()
    if not _exists_deleted(entity_uid):
        return False
    return _record(
        entity_uid,
        "customers.entity_restored",
        opened,
        author,
        NO_BASIS,
        When(reason=reason),
    )


def scd2_upsert_entity(
    entity_uid: UUID, author: Author, *, entity_type: str = "PERSON", display_name: str
) -> bool:
    """Make the entity's type and name so; return False if they are so already."""
    groups = {
        "type": {"value": details.checked_type(entity_type)},
        **_naming(display_name),
    }
    return _upsert(entity_uid, groups, author)


def scd2_upsert_detail(entity_uid: UUID, author: Author, detail_code: str, value: Any) -> bool:
    """Make one detail of an entity so; return False if it is so already."""
    return _upsert(entity_uid, details.groups_of({detail_code: value}), author)


def record_new(
    customers: Sequence[tuple[UUID, Mapping[str, Fields]]], author: Author
) -> Sequence[UUID]:
    """Enter those customers that are not here yet, in one transaction; return their uids."""
    there = {uid for uid, head in heads.read(uid for uid, _ in customers).items() if head.exists}
    drafts = [new_draft(uid, groups) for uid, groups in customers if uid not in there]
    return [event.entity_uid for event in record(drafts, author)] if drafts else []


def _record(
    uid: UUID,
    event_type: str,
    groups: Mapping[str, Fields],
    author: Author,
    basis: Basis,
    when: When,
) -> bool:
    draft = Draft(
        entity_uid=uid,
        type=event_type,
        set=groups,
        kind=ENTITY,
        effective=when.effective,
        known=basis.known,
        if_match=basis.if_match,
        reason=_reason(when),
    )
    return bool(record([draft], author))


def _upsert(uid: UUID, groups: Mapping[str, Fields], author: Author) -> bool:
    try:
        return _record(uid, "customers.details_changed", groups, author, NO_BASIS, NOW)
    except Unknown:
        return bool(record([new_draft(uid, {"type": {"value": "PERSON"}, **groups})], author))


def _reason(when: When) -> str | None:
    if when.reason is None:
        return None
    return details.checked_text("reason", when.reason, MAX_REASON) or None


def _naming(display_name: str | None) -> dict[str, Fields]:
    if display_name is None:
        return {}
    text = details.checked_text("display_name", display_name, details.DEFAULT_MAX_LENGTH)
    return {"display_name": {"value": text or None}}


def _exists_deleted(uid: UUID) -> bool:
    head = heads.read([uid]).get(uid)
    if head is None or not head.exists:
        raise Unknown(uid)
    return head.memo.is_deleted


def _said_before(uid: UUID, wanted: Mapping[str, Fields]) -> bool:
    """Whether a creating event of this uid said just this, or it is what is so now."""
    current = {
        group: fields
        for group, fields in heads.read([uid])[uid].memo.state.items()
        if group != "deleted" and fields.get("value") is not None
    }
    if current == wanted:
        return True
    return any(
        event.type == "customers.entity_created" and event.set == wanted
        for event in log.load([uid])[uid]
    )
