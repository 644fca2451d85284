"""Which values were overwritten by someone who had not seen them: a pure function of the events.

A conflict is decided by what each author knew (``base``), never by what a row showed: with the
base taken from the shown version, late events raise false alarms.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
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
    everything = list(events)
    kept = sorted(live(everything), key=lambda event: event.stamp)
    known = _Known(everything, kept)
    resolved: dict[str, UUID] = {}
    for event in kept:
        for item in event.resolves:
            resolved.setdefault(item, event.event_id)
    found = [*_plain(kept, known), *_closing(kept, known)]
    items = {
        ids[0]: Conflict(ids[0], group, a.event_id, b.event_id, is_closing, by)
        for group, a, b, is_closing in found
        for ids in [_ids(a, b, group)]
        for by in [next((resolved[item] for item in ids if item in resolved), None)]
    }
    return [items[item] for item in sorted(items)]


def _ids(a: Event, b: Event, group: str) -> list[str]:
    """Return the id of a conflict on ``group``, then those it had when the group had other names.

    Who resolved it in an older release said so of the group as it was called there.
    """
    names = [group, *a.formerly.get(group, ()), *b.formerly.get(group, ())]
    return [item_id(a.event_id, b.event_id, name) for name in names]


class _Known:
    """What authors had in view, with withdrawn events replaced by what those rested on."""

    def __init__(self, everything: Iterable[Event], kept: Iterable[Event]) -> None:
        standing = {event.event_id for event in kept}
        self._voided = {e.event_id: e for e in everything if e.event_id not in standing}
        # Stamps that the author of another event *on the same group* had in view.
        self.seen = {(g, self.base(event, g)) for event in kept for g in event.set}

    def base(self, author: Event, group: str) -> Stamp | None:
        """Return the greatest standing stamp on ``group`` that ``author`` knew."""
        base = author.base.get(group)
        while base is not None and base.event_id in self._voided:
            earlier = self._voided[base.event_id].base.get(group)
            # Only a faulty origin names a base that is not earlier; following it could never end.
            base = earlier if earlier is not None and earlier < base else None
        return base

    def unseen(self, author: Event, group: str, other: Event) -> bool:
        """Whether the author's base of ``group`` lies before ``other``."""
        base = self.base(author, group)
        return author.event_id != other.event_id and (base is None or base < other.stamp)


Found = tuple[str, Event, Event, bool]


def _plain(kept: list[Event], known: _Known) -> Iterator[Found]:
    """For a < b that set g differently: b had not seen a, and nobody after a on g had."""
    by_group: dict[str, list[Event]] = {}
    for event in kept:
        for group in event.set:
            by_group.setdefault(group, []).append(event)
    for group, setters in by_group.items():
        for index, a in enumerate(setters):
            if (group, a.stamp) in known.seen:
                continue
            for b in setters[index + 1 :]:
                if a.set[group] != b.set[group] and known.unseen(b, group, a):
                    yield group, a, b, False


def _closing(kept: list[Event], known: _Known) -> Iterator[Found]:
    """A closing event c and an edit e of g: neither had seen the other, and e still stands."""
    closers = [(c, g) for c in kept for g in CLOSING_GROUPS if c.set.get(g, {}).get("value")]
    edits = [
        (e, group)
        for e in kept
        for group in e.set
        if group not in CLOSING_GROUPS and (group, e.stamp) not in known.seen
    ]
    for c, closing in closers:
        for e, group in edits:
            if known.unseen(c, group, e) and known.unseen(e, closing, c):
                a, b = sorted((c, e), key=lambda event: event.stamp)
                yield group, a, b, True


def parallel(events: Iterable[Event]) -> dict[UUID, list[Event]]:
    """Return, by event, the earlier changes of other groups that its author knew nothing of.

    They were made at other locations and merged silently. What closes a record is never among
    them: whatever it overlooked is a conflict. Of the events, only what ``raw`` says is looked at.
    """
    kept = sorted((e for e in live(events) if e.set and not _closes(e)), key=lambda e: e.stamp)
    stamps = [event.stamp for event in kept]
    found: dict[UUID, list[Event]] = {}
    for place, author in enumerate(kept):
        known = _last_known(author)
        begin = place if known is None else bisect_right(stamps, known)
        others = [e for e in kept[begin:place] if _is_apart(e, author)]
        if others:
            found[author.event_id] = others
    return found


def _closes(event: Event) -> bool:
    return any(event.set.get(group, {}).get("value") for group in CLOSING_GROUPS)


def _last_known(author: Event) -> Stamp | None:
    """Return the stamp of the last change of the record that its author knew, if the base tells.

    It does when it names a group that the event neither sets nor closes by. The first event of a
    record names none; neither did any event before that was asked of origins: nothing is said of
    them, since they may well have known.
    """
    if author.base.keys() <= {*author.set, *CLOSING_GROUPS}:
        return None
    return max((stamp for stamp in author.base.values() if stamp is not None), default=None)


def _is_apart(one: Event, other: Event) -> bool:
    return one.origin != other.origin and one.set.keys().isdisjoint(other.set)
