"""From a set of events to versions: a pure function, the only source of versioned rows.

It reads no clock, locale, setting or random number. Laws, each a property test: any order and any
repetition of the events gives the same result; resuming from a memo equals starting over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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


RowsOf = Callable[[State], Iterable[Row]]
Opening = tuple[int, UUID | None]  # since when (µs) a version is open, and the event that opened it


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
    opened: dict[RowKey, Opening] = {key: (begun, None) for key, begun in memo.open.items()}
    shown = _visible(state, rows)
    versions: list[Version] = []
    for instant, together in _instants(events, floor):
        for event in together:
            state.update(event.set)
            for group in event.set:
                known = stamps.get(group)
                stamps[group] = event.stamp if known is None else max(known, event.stamp)
        after = _visible(state, rows)
        versions += _close(shown, after, opened, instant)
        _open(shown, after, opened, instant, together)
        shown = after
    versions += _opened(shown, opened)
    times = [event.ts for event in events]
    first = min([memo.first_ts, *times] if memo.first_ts else times)
    still_open = {key: begun for key, (begun, _) in opened.items()}
    return Folded(Memo(state, stamps, first, max([memo.last_ts, *times]), still_open), versions)


def _instants(events: Iterable[Event], floor: int) -> Iterator[tuple[int, list[Event]]]:
    def begins(event: Event) -> int:
        return max(event.effective_at, floor)

    ordered = sorted(events, key=lambda event: (begins(event), event.stamp))
    for instant, together in groupby(ordered, key=begins):
        yield instant, list(together)


def _visible(state: State, rows: RowsOf) -> dict[RowKey, Row]:
    return {} if not state or is_deleted(state) else {row.key: row for row in rows(state)}


def _close(
    shown: Mapping[RowKey, Row],
    after: Mapping[RowKey, Row],
    opened: dict[RowKey, Opening],
    instant: int,
) -> list[Version]:
    """End the versions whose row is gone or has other values; equal neighbours stay one."""
    gone = [
        key for key, row in shown.items() if key not in after or after[key].values != row.values
    ]
    return [
        Version(key, begun, instant, shown[key].values, event_id)
        for key in gone
        for begun, event_id in [opened.pop(key)]
    ]


def _open(
    shown: Mapping[RowKey, Row],
    after: Mapping[RowKey, Row],
    opened: dict[RowKey, Opening],
    instant: int,
    together: Sequence[Event],
) -> None:
    for key, row in after.items():
        if key not in shown or shown[key].values != row.values:
            # Its author is the last event of the instant that set one of the row's groups; when
            # none did (an undelete opens all rows), the last event of the instant.
            authors = [e for e in together if not row.groups.isdisjoint(e.set)] or together
            opened[key] = (instant, authors[-1].event_id)


def _opened(shown: Mapping[RowKey, Row], opened: Mapping[RowKey, Opening]) -> Iterator[Version]:
    for key, (begun, event_id) in opened.items():
        if event_id is not None:  # opened now: of what a memo left open nothing has changed
            yield Version(key, begun, None, shown[key].values, event_id)
