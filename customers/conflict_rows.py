"""The inbox as its page shows it: each item with its record, its two sides and what one may do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from customers import sealed
from customers.conflict_forms import EnterForm, ValueFields
from customers.kinds import ENTITY, display_name
from customers.labels import CHOSEN, Text, label_of
from customers.representations import plain
from customers.resolving import choice_of, may_swap
from events import items
from events.items import OPEN, Filter, Item, Side
from events.stamp import to_datetime


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a choice settled nothing, in a sentence; ``typed`` is what was entered, if anything."""

    sentence: str
    typed: str | None = None


@dataclass(frozen=True, slots=True)
class SideShown:
    """One side: whose value it is, and whether it stands."""

    side: Side
    label: Text
    value: Any
    at: Any


@dataclass(frozen=True, slots=True)
class ConflictRow:
    """An item of the page; ``token`` stands for it in forms, ``form`` is to enter another value."""

    item: Item
    name: str
    label: Text
    sides: list[SideShown]
    current: Any
    is_undecided: bool
    keep_text: str
    swap_text: str
    token: str
    form: EnterForm | None = None
    refusal: Refusal | None = None
    chosen: Text | None = field(default=None)
    settled_at: Any = None

    @property
    def anchor(self) -> str:
        """What the row is called in addresses and by its parts."""
        return self.item.outline.item_id[:16]


def open_count(entity_uid: UUID | None = None) -> int:
    """Return how many items of customers, or of one, wait for somebody."""
    return items.count(Filter(OPEN, entity_uid, ENTITY))


def rows_of(found: Iterable[Item], refused: Mapping[str, Refusal]) -> list[ConflictRow]:
    """Return the rows of items; ``refused`` says by id what a choice of this request met."""
    fields = ValueFields()
    return [_row(item, fields, refused.get(item.outline.item_id)) for item in found]


def _row(item: Item, fields: ValueFields, refusal: Refusal | None) -> ConflictRow:
    state, first = item.head.memo.state, item.sides[0]
    current = plain(state.get(first.group))
    keep_text, swap_text = _words(item)
    choice = choice_of(item)
    return ConflictRow(
        item=item,
        name=display_name(state),
        label=label_of(first.group),
        sides=[_side(side) for side in item.sides],
        current=current,
        is_undecided=not any(side.is_kept for side in item.sides),
        keep_text=keep_text,
        swap_text=swap_text,
        token=sealed.seal_item(item),
        form=_form(item, fields, current, refusal),
        refusal=refusal,
        chosen=CHOSEN[choice] if choice else None,
        settled_at=to_datetime(item.resolution.ts) if item.resolution else None,
    )


def _words(item: Item) -> tuple[str, str]:
    """Return what to keep and to swap are called; the latter is empty where it cannot be done."""
    if item.group is not None:
        return _("Keep"), _("Swap") if may_swap(item) else ""
    if items.is_closed(item.head.memo.state):
        return _("Keep closed"), _("Bring back")
    return _("Keep open"), _("Close again")


def _side(side: Side) -> SideShown:
    return SideShown(side, label_of(side.group), plain(side.fields), to_datetime(side.event.ts))


def _form(
    item: Item, fields: ValueFields, current: Any, refusal: Refusal | None
) -> EnterForm | None:
    field = fields.of(item.group, current) if item.group else None
    if field is None:
        return None
    typed = refusal.typed if refusal else None
    value = current if typed is None else typed
    return EnterForm(field, item.outline.item_id, value, is_wrong=typed is not None)
