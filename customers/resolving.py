"""Settling conflicts: keep what the record shows, take the other value, or enter a third.

A resolution is an event like any other: it goes to all locations, and two people who settle one
item apart end with the same record; where they chose differently there is a new item.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from customers import details
from customers.commands import NO_BASIS, Basis
from customers.kinds import DETAIL_TYPES, ENTITY
from events import items
from events.drafting import Author, Draft, refuse_stale
from events.envelope import Fields
from events.errors import (
    InvalidValue,
    MissingKey,
    NotAlone,
    NotOpen,
    Parked,
    Settled,
    SinsError,
    Stale,
    TooLarge,
    UndecodableEvent,
    UnknownItem,
)
from events.fold import CLOSING_GROUPS, DELETED, MERGED_INTO
from events.items import Filter, Item
from events.recorder import MAX_EVENTS, record

KEEP, SWAP, ENTER = CHOICES = ("keep", "swap", "enter")

_OPENED: Mapping[str, Fields] = {DELETED: {"value": False}, MERGED_INTO: {"value": None}}


@dataclass(frozen=True, slots=True)
class Choice:
    """What shall become of an item; ``value`` is for ``enter`` alone, None removes the value."""

    item_id: str
    choice: str
    value: Any = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a choice: ``error`` says why it settled nothing; the record if it is known."""

    item_id: str
    entity_uid: UUID | None
    error: SinsError | None


Wanted = list[tuple[Choice, Item]]
Errors = dict[str, SinsError]


def settle(
    choices: Sequence[Choice], author: Author, bases: Mapping[UUID, Basis] | None = None
) -> list[Outcome]:
    """Settle items as chosen, each record in one transaction; return what came of each choice.

    ``bases`` say what the author had in view of a record; without one it is what this call reads.
    Who is late is told ``Settled``, ``UnknownItem`` or ``Stale``. A record is stored whole or not
    at all, but for choices that are late. Raises ``TooLarge``, ``InvalidValue`` for an item named
    twice, ``Recovering``.
    """
    if len(choices) > MAX_EVENTS:
        raise TooLarge
    if len({choice.item_id for choice in choices}) < len(choices):
        raise InvalidValue("item_id", "each conflict once")
    found = _items(choices)
    errors: Errors = {}
    by_record: dict[UUID, Wanted] = {}
    for choice in choices:
        item = found.get(choice.item_id)
        if item is None:
            errors[choice.item_id] = UnknownItem()
        elif item.outline.state == items.SETTLED:
            errors[choice.item_id] = Settled()
        else:
            by_record.setdefault(item.outline.entity_uid, []).append((choice, item))
    for uid, wanted in by_record.items():
        read = Basis(known=wanted[0][1].head.memo.stamps)
        basis = (bases or {}).get(uid, NO_BASIS)
        errors |= _settle_record(wanted, author, read if basis == NO_BASIS else basis)
    uids = {item_id: item.outline.entity_uid for item_id, item in found.items()}
    return [Outcome(c.item_id, uids.get(c.item_id), errors.get(c.item_id)) for c in choices]


def choice_of(item: Item) -> str | None:
    """Return how a settled item was settled; None while it is open."""
    if item.resolution is None:
        return None
    if item.group is None:
        return SWAP if any(group in item.resolution.set for group in CLOSING_GROUPS) else KEEP
    chosen = item.resolution.set.get(item.group)
    if chosen is None:
        return KEEP
    return SWAP if chosen in [side.fields for side in item.sides] else ENTER


def may_swap(item: Item) -> bool:
    """Whether the record shows one of two values, so that there is another."""
    return item.group is None or any(side.is_kept for side in item.sides)


def _items(choices: Sequence[Choice]) -> dict[str, Item]:
    """Return the items that are chosen about, by each id that finds them."""
    wanted = Filter(kind=ENTITY, item_ids=[choice.item_id for choice in choices])
    return {row.item_id: item for item in items.page(wanted) for row in item.outline.rows}


def _settle_record(wanted: Wanted, author: Author, basis: Basis) -> Errors:
    """Settle items of one record; return what is wrong with those that are not settled by it."""
    try:
        # Who saw another record than this one is told that first: their choice was about that one.
        refuse_stale(_draft(wanted, {}, basis), {}, wanted[0][1].head)
        changes, errors = _changes(wanted)
        if errors:
            return {c.item_id: errors.get(c.item_id) or NotAlone() for c, _ in wanted}
        record([_draft(wanted, changes, basis)], author)
    except NotOpen as exc:
        # Settled since it was read: the others of the record need not wait for that.
        rest = [pair for pair in wanted if exc.item_ids.isdisjoint(pair[1].outline.open_ids)]
        late: Errors = {pair[0].item_id: exc for pair in wanted if pair not in rest}
        return late | (_settle_record(rest, author, basis) if rest else {})
    except (Stale, Parked, MissingKey, UndecodableEvent) as exc:
        return {choice.item_id: exc for choice, _ in wanted}
    return {}


def _changes(wanted: Wanted) -> tuple[dict[str, Fields], Errors]:
    """Return the groups that the choices set together, and what is wrong with single choices."""
    groups: dict[str, Fields] = {}
    errors: Errors = {}
    seen: set[str] = set()
    for choice, item in wanted:
        try:
            change = _change(choice, item)
        except (InvalidValue, MissingKey) as exc:
            errors[choice.item_id] = exc
            continue
        if item.outline.item_id in seen:
            errors[choice.item_id] = InvalidValue("item_id", "each conflict once")
        elif any(groups.get(group, fields) != fields for group, fields in change.items()):
            errors[choice.item_id] = InvalidValue("choice", "one value for a field, not two")
        seen.add(item.outline.item_id)
        groups |= change
    return groups, errors


def _change(choice: Choice, item: Item) -> dict[str, Fields]:
    """Return the groups that a choice sets."""
    if choice.choice == KEEP:
        return {}
    if item.group is None:
        if choice.choice == ENTER:
            raise InvalidValue("choice", "keep or swap: the record is closed or it is not")
        return _turned(item)
    if choice.choice == ENTER:
        return {item.group: {"value": _entered(item.group, choice.value)}}
    if not may_swap(item):
        raise InvalidValue("choice", "keep or enter: the record shows neither of the two values")
    (other,) = (side for side in item.sides if not side.is_kept)
    if other.fields is None:
        raise MissingKey
    return {item.group: other.fields}


def _turned(item: Item) -> dict[str, Fields]:
    """Return what brings a closed record back, or closes one again that is open meanwhile."""
    state = item.head.memo.state
    if items.is_closed(state):
        return {g: _OPENED[g] for g in CLOSING_GROUPS if state.get(g, {}).get("value")}
    closing = item.sides[0]
    return {closing.group: closing.fields or {}}


def _entered(group: str, value: Any) -> str | None:
    try:
        if group == "type":
            return details.checked_type(value)
        if group == "display_name":
            text = details.checked_text(group, value or "", details.DEFAULT_MAX_LENGTH)
            return text or None
        if group in DETAIL_TYPES:
            return details.checked(group, value)
    except InvalidValue as exc:
        raise InvalidValue("value", exc.expected) from exc
    raise InvalidValue("choice", "keep or swap: nothing else can be entered here")


def _draft(wanted: Wanted, changes: Mapping[str, Fields], basis: Basis) -> Draft:
    return Draft(
        entity_uid=wanted[0][1].outline.entity_uid,
        type="customers.conflict_resolved",
        set=changes,
        kind=ENTITY,
        known=basis.known,
        if_match=basis.if_match,
        resolves=[item_id for _, item in wanted for item_id in item.outline.open_ids],
        # Of a closed record everything beneath is decided about.
        rests_on={DELETED if item.group is None else item.group for _, item in wanted},
    )
