"""Reading the conflict inbox: both values, who said them, where and when, and which one stands.

A row of ``events_conflict`` is two events and a group. To people, all edits of a record that one
closing event (a deletion, a merge) overlooked are *one* item: the smallest id of its rows names it,
any of them finds it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from events import heads, log, sql
from events.drafting import Draft
from events.envelope import Event, Fields
from events.errors import Settled, UnknownItem
from events.fold import CLOSING_GROUPS, State
from events.heads import Head
from events.registry import Kind

OPEN, SETTLED = STATES = ("open", "settled")


@dataclass(frozen=True, slots=True)
class Filter:
    """Which items; None narrows nothing. ``item_ids`` may be those of any of an item's rows."""

    state: str | None = None
    entity_uid: UUID | None = None
    kind: Kind | None = None
    item_ids: Sequence[str] | None = None


class Row(NamedTuple):
    """One row: two events of which neither author knew the other's; ``ts`` in µs since 1970."""

    item_id: str
    group: str
    earlier: UUID
    earlier_origin: str
    earlier_ts: int
    later: UUID
    later_origin: str
    later_ts: int
    resolved_by: UUID | None


@dataclass(frozen=True, slots=True)
class Outline:
    """An item without its values; ``closing`` is the event that closed the record, if one did."""

    item_id: str
    entity_uid: UUID
    closing: UUID | None
    rows: tuple[Row, ...]

    @property
    def state(self) -> str:
        """Whether somebody has decided about all of it."""
        return OPEN if any(row.resolved_by is None for row in self.rows) else SETTLED

    @property
    def open_ids(self) -> list[str]:
        """The ids of the rows that nobody has decided about."""
        return [row.item_id for row in self.rows if row.resolved_by is None]

    @property
    def event_ids(self) -> set[UUID]:
        """The events it is about, and those that settled it."""
        named = {uid for row in self.rows for uid in (row.earlier, row.later, row.resolved_by)}
        return {uid for uid in named if uid is not None}


@dataclass(frozen=True, slots=True)
class Side:
    """What one event says of a group; ``fields`` is None where that cannot be read here."""

    event: Event
    group: str
    fields: Fields | None
    is_kept: bool


@dataclass(frozen=True, slots=True)
class Item:
    """An item with both sides: the earlier and the later value, or what closed and all edits.

    ``head`` is how the record stands; ``resolution`` the last event that settled it, once none of
    it is open.
    """

    outline: Outline
    sides: tuple[Side, ...]
    resolution: Event | None
    head: Head

    @property
    def group(self) -> str | None:
        """The group both events set; None if one of them closed the record."""
        return None if self.outline.closing else self.sides[0].group


# What makes rows one item: its own id, or the event that closed the record. Whether one did stands
# in the clear part of its bytes.
_CLOSES = " OR ".join(
    "coalesce(convert_from(earlier.raw, 'UTF8')::jsonb"
    f" #> ARRAY['set', '{group}', 'value'], 'null') NOT IN ('null', 'false')"
    for group in CLOSING_GROUPS
)
_ABOUT = f"""
CASE WHEN NOT c.is_closing THEN c.item_id
     WHEN {_CLOSES} THEN c.earlier::text ELSE c.later::text END
"""
# An event's id begins with its time: the newest first needs no look at the events.
_ITEMS = f"""
SELECT c.entity_uid, {_ABOUT} AS about, min(c.item_id) AS item_id,
       max(c.later::text COLLATE "C") AS newest
FROM events_conflict c
LEFT JOIN events_event earlier ON c.is_closing AND earlier.event_id = c.earlier
WHERE {{where}} GROUP BY 1, 2 HAVING {{having}}
"""

# The items of a page, each with all its rows.
_PAGE = f"""
WITH page AS ({{items}} ORDER BY newest DESC, item_id LIMIT %(limit)s OFFSET %(offset)s)
SELECT page.item_id, page.entity_uid, page.about, (
    SELECT json_agg(json_build_array(
               c.item_id, c."group", c.earlier, earlier.origin, earlier.ts,
               c.later, later.origin, later.ts, c.resolved_by) ORDER BY c.item_id)::text
    FROM events_conflict c
    JOIN events_event earlier ON earlier.event_id = c.earlier
    JOIN events_event later ON later.event_id = c.later
    WHERE c.entity_uid = page.entity_uid AND {_ABOUT} = page.about)
FROM page ORDER BY page.newest DESC, page.item_id
"""

# Every page counts what is open: a plain row is an item, so only of the others events are read.
_COUNT = """
SELECT (SELECT count(*) FROM events_conflict c WHERE NOT c.is_closing AND {rows})
     + (SELECT count(*) FROM ({closing}) AS item)
"""

_WHERE = {
    # All rows of an item of which one is open: so its id stays the same while it is decided.
    "open": "c.entity_uid IN (SELECT entity_uid FROM events_conflict WHERE resolved_by IS NULL)",
    "entity_uid": "c.entity_uid = %(entity_uid)s",
    "kind": (
        "EXISTS (SELECT FROM events_entityhead h"
        " WHERE h.entity_uid = c.entity_uid AND h.kind = %(kind)s)"
    ),
    "item_ids": (
        "c.entity_uid IN (SELECT entity_uid FROM events_conflict WHERE item_id = ANY(%(item_ids)s))"
    ),
}
_HAVING = {
    "open": "bool_or(resolved_by IS NULL)",
    "settled": "bool_and(resolved_by IS NOT NULL)",
    "item_ids": "array_agg(item_id) && %(item_ids)s::text[]",
}

_ROWS = {
    "open": "resolved_by IS NULL",
    "settled": "resolved_by IS NOT NULL",
    "item_ids": "item_id = ANY(%(item_ids)s)",
}

_STANDING = "SELECT item_id, entity_uid, resolved_by FROM events_conflict WHERE item_id = ANY(%s)"


def count(wanted: Filter) -> int:
    """Return how many items there are."""
    parameters = _parameters(wanted)
    names = _names(wanted, parameters)
    rows = [_ROWS.get(name) or _WHERE[name] for name in names]
    statement = _COUNT.format(rows=_all(rows), closing=_items(names, "c.is_closing"))
    ((number,),) = sql.execute(statement, parameters).rows()
    return int(number)


def outlines(wanted: Filter, offset: int = 0, limit: int | None = None) -> list[Outline]:
    """Return items without their values, those with the newest event first."""
    parameters = _parameters(wanted)
    statement = _PAGE.format(items=_items(_names(wanted, parameters)))
    answer = sql.execute(statement, {**parameters, "limit": limit, "offset": offset})
    return [_outline(*row) for row in answer.rows()]


def page(wanted: Filter, offset: int = 0, limit: int | None = None) -> list[Item]:
    """Return items with their values. Three statements, whatever the limit."""
    found = outlines(wanted, offset, limit)
    stored = log.by_id({event_id for outline in found for event_id in outline.event_ids})
    events = {event_id: log.readable(item) for event_id, item in stored.items()}
    known = heads.read({outline.entity_uid for outline in found})
    return [_item(outline, known[outline.entity_uid], events) for outline in found]


def refuse_settled(drafts: Iterable[Draft]) -> None:
    """Raise ``Settled`` or ``UnknownItem`` for drafts that resolve what is not open.

    To be asked while the heads are locked: nobody else can settle anything of them then.
    """
    wanted = {item_id: draft.entity_uid for draft in drafts for item_id in draft.resolves}
    if not wanted:
        return
    rows = sql.execute(_STANDING, [list(wanted)]).rows()
    there = {item_id for item_id, entity_uid, _ in rows if wanted[item_id] == entity_uid}
    if unknown := wanted.keys() - there:
        raise UnknownItem(unknown)
    if settled := {item_id for item_id, _, resolved_by in rows if resolved_by is not None}:
        raise Settled(settled)


def is_closed(state: State) -> bool:
    """Whether a record in this state is deleted or merged into another."""
    return any(state.get(group, {}).get("value") for group in CLOSING_GROUPS)


def _parameters(wanted: Filter) -> dict[str, Any]:
    given = {
        "entity_uid": wanted.entity_uid,
        "kind": None if wanted.kind is None else wanted.kind.name,
        "item_ids": None if wanted.item_ids is None else list(wanted.item_ids),
    }
    return {name: value for name, value in given.items() if value is not None}


def _names(wanted: Filter, parameters: Iterable[str]) -> list[str]:
    """Return what the conditions of a filter are called."""
    return [*parameters, *([wanted.state] if wanted.state else [])]


def _items(names: Iterable[str], *more: str) -> str:
    where = [*more, *(_WHERE[name] for name in names if name in _WHERE)]
    return _ITEMS.format(where=_all(where), having=_all(_HAVING[n] for n in names if n in _HAVING))


def _all(conditions: Iterable[str]) -> str:
    return " AND ".join(conditions) or "true"


def _outline(item_id: str, entity_uid: UUID, about: str, rows: str) -> Outline:
    found = tuple(_row(*row) for row in json.loads(rows))
    return Outline(item_id, entity_uid, None if about == item_id else UUID(about), found)


def _row(item_id: str, group: str, *said: Any) -> Row:
    earlier, origin, ts, later, later_origin, later_ts, resolved_by = said
    resolution = None if resolved_by is None else UUID(resolved_by)
    return Row(
        item_id, group, UUID(earlier), origin, ts, UUID(later), later_origin, later_ts, resolution
    )


def _item(outline: Outline, head: Head, events: dict[UUID, Event]) -> Item:
    sides = _sides(outline, head.memo.state, events)
    settling = [events[row.resolved_by] for row in outline.rows if row.resolved_by is not None]
    is_settled = outline.state == SETTLED
    resolution = max(settling, key=lambda event: event.stamp) if is_settled else None
    return Item(outline, tuple(sides), resolution, head)


def _sides(outline: Outline, state: State, events: dict[UUID, Event]) -> list[Side]:
    if outline.closing is None:
        (row,) = outline.rows
        return [_side(events[uid], row.group, state) for uid in (row.earlier, row.later)]
    closing, closed = events[outline.closing], is_closed(state)
    group = next(g for g in CLOSING_GROUPS if closing.set.get(g, {}).get("value"))
    edits = {
        (event.stamp, row.group): event
        for row in outline.rows
        for event in [events[row.later if row.earlier == outline.closing else row.earlier]]
    }
    return [
        Side(closing, group, closing.set[group], is_kept=closed),
        *(
            _side(event, edited, {} if closed else state)
            for (_, edited), event in sorted(edits.items())
        ),
    ]


def _side(event: Event, group: str, state: State) -> Side:
    # A group without any field is one that cannot be read; none, one of an unknown version.
    fields = event.set.get(group) or None
    return Side(event, group, fields, is_kept=fields is not None and fields == state.get(group))
