"""Which values were overwritten by someone who had not seen them: a pure function of the events.

A conflict is decided by what each author knew (``base``), never by what a row showed: with the
base taken from the shown version, late events raise false alarms.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from uuid import UUID

from events.envelope import Event
from events.fold import CLOSING_GROUPS, live
from events.stamp import Stamp


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two events on ``group`` of one entity whose authors did not know of each other.

    ``earlier`` has the smaller stamp. In a closing conflict one of the two closed the record
    (deleted or merged it) and the other edited ``group``.
    """

    item_id: str
    group: str
    earlier: UUID
    later: UUID
    is_closing: bool
    resolved_by: UUID | None = None


def item_id(earlier: UUID, later: UUID, group: str) -> str:
    """Return the id of a conflict, the same at every location: SHA-256 in hex."""
    return hashlib.sha256(earlier.bytes + later.bytes + group.encode()).hexdigest()


def conflicts(events: Iterable[Event]) -> list[Conflict]:
    """Return the conflicts among the events of one entity, in the order of their ids."""
    kept = sorted(live(events), key=lambda event: event.stamp)
    # Stamps that the author of a later event *on the same group* had in view: no longer unseen.
    seen = {
        (group, event.base[group])
        for event in kept
        for group in event.set
        if group in event.base
    }
    resolved: dict[str, UUID] = {}
    for event in kept:
        for item in event.resolves:
            resolved.setdefault(item, event.event_id)
    found = [*_plain(kept, seen), *_closing(kept, seen)]
    items = {
        item: Conflict(
            item, group, a.event_id, b.event_id, is_closing, resolved.get(item)
        )
        for group, a, b, is_closing in found
        for item in [item_id(a.event_id, b.event_id, group)]
    }
    return [items[item] for item in sorted(items)]


Found = tuple[str, Event, Event, bool]


def _plain(kept: list[Event], seen: set[tuple[str, Stamp | None]]) -> Iterator[Found]:
    """For a < b that set g differently: b had not seen a, and nobody after a on g had."""
    by_group: dict[str, list[Event]] = {}
    for event in kept:
        for group in event.set:
            by_group.setdefault(group, []).append(event)
    for group, setters in by_group.items():
        for index, a in enumerate(setters):
            if (group, a.stamp) in seen:
                continue
            for b in setters[index + 1 :]:
                if a.set[group] != b.set[group] and _unseen(b, group, a):
                    yield group, a, b, False


def _closing(kept: list[Event], seen: set[tuple[str, Stamp | None]]) -> Iterator[Found]:
    """A closing event c and an edit e of g: neither had seen the other, and e still stands."""
    for c in kept:
        for closing in CLOSING_GROUPS:
            if not c.set.get(closing, {}).get("value"):
                continue
            for e in kept:
                for group in e.set:
                    if group in CLOSING_GROUPS or (group, e.stamp) in seen:
                        continue
                    if _unseen(c, group, e) and _unseen(e, closing, c):
                        a, b = sorted((c, e), key=lambda event: event.stamp)
                        yield group, a, b, True


def _unseen(author: Event, group: str, other: Event) -> bool:
    """Whether the author's base of ``group`` lies before ``other``."""
    base = author.base.get(group)
    return author.event_id != other.event_id and (base is None or base < other.stamp)
