"""From a set of events to versions: a pure function, the only source of versioned rows.

It reads no clock, locale, setting or random number. Laws, each a property test: any order and any
repetition of the events gives the same result; resuming from a memo equals starting over.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple
from uuid import UUID

from events.envelope import Event, Fields
from events.stamp import Stamp

State = Mapping[str, Fields]  # group → its fields, as the last event in order left them
DELETED = "deleted"
MERGED_INTO = "merged_into"
CLOSING_GROUPS = (DELETED, MERGED_INTO)


class RowKey(NamedTuple):
    """One row at any instant: the table's label, and the code within the entity ("" if one)."""

    table: str
    code: str


class Row(NamedTuple):
    """What a kind wants to stand in ``key`` for a state; ``groups`` are those that feed it."""

    key: RowKey
    groups: frozenset[str]
    values: Fields


class Version(NamedTuple):
    """One version of one row, ``[valid_from, valid_to)`` in µs; open while ``valid_to`` is None.

    ``event_id`` opened it; None for a version that was open before a resumed fold.
    """

    key: RowKey
    valid_from: int
    valid_to: int | None
    values: Fields
    event_id: UUID | None


@dataclass(frozen=True, slots=True)
class Memo:
    """Where a fold stopped: enough to go on with a later event without reading the earlier ones.

    ``open`` says since when (µs) each row's present version is open.
    """

    state: State = field(default_factory=dict)
    stamps: Mapping[str, Stamp] = field(default_factory=dict)
    first_ts: int = 0
    last_ts: int = 0
    open: Mapping[RowKey, int] = field(default_factory=dict)

    @property
    def is_deleted(self) -> bool:
        """Whether the entity is closed: no version is open."""
        return is_deleted(self.state)


@dataclass(frozen=True, slots=True)
class Folded:
    """The result of a fold: the memo after it, and the versions it closed or opened."""

    memo: Memo
    versions: Sequence[Version]


# Rows of a state: those that one of the groups feeds, and others if that is simpler; None: all.
RowsOf = Callable[[State, Collection[str] | None], Iterable[Row]]


@dataclass(slots=True)
class _Open:
    """The versions that are open: since when (µs) each is, and those that this fold opened."""

    since: dict[RowKey, int]
    new: dict[RowKey, tuple[UUID, Fields]] = field(default_factory=dict)

    def close(self, key: RowKey, instant: int, values: Fields) -> Version:
        event_id, _ = self.new.pop(key, (None, values))
        return Version(key, self.since.pop(key), instant, values, event_id)

    def open(self, key: RowKey, instant: int, values: Fields, event_id: UUID) -> None:
        self.since[key] = instant
        self.new[key] = (event_id, values)

    def opened(self) -> Iterator[Version]:
        """Yield what this fold opened and left open; nothing else has changed."""
        for key, (event_id, values) in self.new.items():
            yield Version(key, self.since[key], None, values, event_id)


def is_deleted(state: State) -> bool:
    """Whether ``state`` is that of a deleted entity."""
    return bool(state.get(DELETED, {}).get("value"))


def live(events: Iterable[Event]) -> list[Event]:
    """Return the events that are not withdrawn, each once; an event that voids cannot be voided."""
    once = {event.event_id: event for event in events}
    voided = {target for event in once.values() for target in event.voids}
    return [e for e in once.values() if e.voids or e.event_id not in voided]


def fold(events: Iterable[Event], rows: RowsOf) -> Folded:
    """Return all versions of one entity from all its events, in any order, with repetitions."""
    kept = live(events)
    if not kept:
        return Folded(Memo(), ())
    # No version begins before the entity's first event took effect.
    floor = min(kept, key=lambda event: event.stamp).effective_at
    return _fold(kept, rows, Memo(), floor)


def state_at(events: Iterable[Event], instant: int) -> State:
    """Return the state at ``instant`` (µs); before the entity's first event, that of its first."""
    kept = live(events)
    if not kept:
        return {}
    floor = min(kept, key=lambda event: event.stamp).effective_at
    at, state = max(instant, floor), dict[str, Fields]()
    for begun, together in _instants(kept, floor):
        if begun > at:
            break
        for event in together:
            state.update(event.set)
    return state


def resume(memo: Memo, events: Sequence[Event], rows: RowsOf) -> Folded:
    """Return what ``events`` change after ``memo``: the versions they close and those they open.

    Only right when they take effect after all that ``memo`` has seen (the fast path).
    """
    return _fold(events, rows, memo, 0)


def _fold(events: Sequence[Event], rows: RowsOf, memo: Memo, floor: int) -> Folded:
    state, stamps = dict(memo.state), dict(memo.stamps)
    standing, versions = _Open(dict(memo.open)), list[Version]()
    for instant, together in _instants(events, floor):
        groups = _feeding(state, together)
        before = _visible(state, rows, groups)
        for event in together:
            state.update(event.set)
            stamp = event.stamp
            for group in event.set:
                known = stamps.get(group)
                stamps[group] = stamp if known is None else max(known, stamp)
        after = _visible(state, rows, groups)
        versions += _close(before, after, standing, instant)
        _open(before, after, standing, instant, together)
    versions += standing.opened()
    times = [event.ts for event in events]
    first = min([memo.first_ts, *times] if memo.first_ts else times)
    return Folded(Memo(state, stamps, first, max([memo.last_ts, *times]), standing.since), versions)


def _feeding(state: State, together: Sequence[Event]) -> Collection[str] | None:
    """Return the groups whose rows may change with these events; None where all rows may."""
    groups = {group for event in together for group in event.set}
    return None if not state or DELETED in groups else groups


def _instants(events: Iterable[Event], floor: int) -> Iterator[tuple[int, list[Event]]]:
    def begins(event: Event) -> int:
        return max(event.effective_at, floor)

    ordered = sorted(events, key=lambda event: (begins(event), event.stamp))
    for instant, together in groupby(ordered, key=begins):
        yield instant, list(together)


def _visible(state: State, rows: RowsOf, groups: Collection[str] | None) -> dict[RowKey, Row]:
    return {} if not state or is_deleted(state) else {row.key: row for row in rows(state, groups)}


def _close(
    before: Mapping[RowKey, Row], after: Mapping[RowKey, Row], standing: _Open, instant: int
) -> list[Version]:
    """End the versions whose row is gone or has other values; equal neighbours stay one."""
    return [
        standing.close(key, instant, row.values)
        for key, row in before.items()
        if key not in after or after[key].values != row.values
    ]


def _open(
    before: Mapping[RowKey, Row],
    after: Mapping[RowKey, Row],
    standing: _Open,
    instant: int,
    together: Sequence[Event],
) -> None:
    for key, row in after.items():
        if key not in before or before[key].values != row.values:
            # Its author is the last event of the instant that set one of the row's groups; when
            # none did (an undelete opens all rows), the last event of the instant.
            authors = [e for e in together if not row.groups.isdisjoint(e.set)] or together
            standing.open(key, instant, row.values, authors[-1].event_id)
