"""Whether a run of events is what its origin signed, and which of its bytes are events."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from consumers.errors import NotVerified
from events import chain, forks, keys, log, streams
from events.chain import Head
from events.envelope import Event, from_raw
from events.errors import ForkedStream, MissingKey, UndecodableEvent
from events.locations import is_signed, is_signed_by_present_key
from events.log import Sealed
from events.streams import Item, Position

NO_EVENT, OTHER_STREAM, NO_KEY = "not an event", "of another origin", "does not open"
REUSED_ID = "event id of another event"


@dataclass(frozen=True, slots=True)
class Run:
    """Numbers of one stream that follow each other, up to the number of a head."""

    origin: str
    epoch: int
    items: Sequence[Item]
    head: Head
    source: str
    kafka_offset: int | None = None
    before: bytes | None = None  # the chain value before the first item, as whoever served it says


@dataclass(frozen=True, slots=True)
class Entry:
    """A verified number: its event, or why its bytes are none.

    ``sealed`` is the opened event as it is kept, if it is not here yet.
    """

    seq: int
    chain: bytes
    raw: bytes
    event: Event | None
    sealed: Sealed | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Branch:
    """What a run holds beyond number ``after``, the last that it shares with what is here."""

    after: int
    items: Sequence[Item]


def branch_of(run: Run, position: Position) -> Branch | None:
    """Return the signed branch that a run holds; None if it contradicts nothing that is here.

    A run shows one only from numbers on that are shared, so it overlaps what is here.
    """
    if not run.items or not 0 < run.items[0].seq <= position.seq or run.before is None:
        return None
    if run.before != streams.chain_at(run.origin, run.epoch, run.items[0].seq - 1):
        return None
    start = Position(run.epoch, run.items[0].seq - 1, run.before)
    items = verified(run, start)
    after = forks.last_common(run.origin, run.epoch, items)
    if after is None:
        return None
    return Branch(after, [item for item in items if item.seq > after])


def verified(run: Run, position: Position) -> list[Item]:
    """Return the run's numbers beyond ``position`` with their chain values, which its head signs.

    ``NotVerified`` if it is not what the origin signed; ``ForkedStream`` if it is, but goes on
    from other events than those that are here.
    """
    items = [item for item in run.items if item.seq > position.seq]
    expected = range(position.seq + 1, run.head.seq + 1)
    if [item.seq for item in items] != list(expected) or not is_signed(run.head):
        raise NotVerified(position.seq + 1)
    values = list(chain.steps(position.chain, (item.raw for item in items)))
    if values and values[-1] != run.head.chain:
        _refuse_fork(run)
        claimed = ((item, value) for item, value in zip(items, values, strict=True))
        raise NotVerified(next((i.seq for i, v in claimed if i.chain != v), run.head.seq))
    return [
        item if item.chain == value else replace(item, chain=value)
        for item, value in zip(items, values, strict=True)
    ]


def _refuse_fork(run: Run) -> None:
    """Raise ``ForkedStream`` if origin's signature covers these events, only not after ours."""
    if run.before is None or not is_signed_by_present_key(run.head):
        return
    *_, last = [run.before, *chain.steps(run.before, (item.raw for item in run.items))]
    if last == run.head.chain:
        raise ForkedStream


def contradicts(head: Head) -> bool:
    """Whether a head names another chain value for a number that is here, and counts for that."""
    here = streams.chain_at(head.origin, head.epoch, head.seq)
    return here is not None and here != head.chain and is_signed_by_present_key(head)


def entries_of(items: Sequence[Item], origin: str) -> list[Entry]:
    """Return what numbers hold. Of an event that is here already nothing is opened."""
    events = [_event_of(item, origin) for item in items]
    here = log.raw_of(event.event_id for event in events if isinstance(event, Event))
    entries = []
    for item, event in zip(items, events, strict=True):
        if not isinstance(event, Event):
            entries.append(Entry(item.seq, item.chain, item.raw, None, reason=str(event)))
        elif event.event_id not in here:
            here[event.event_id] = item.raw
            entries.append(_opened(item, event))
        elif here[event.event_id] == item.raw:
            entries.append(Entry(item.seq, item.chain, item.raw, event))
        else:
            entries.append(Entry(item.seq, item.chain, item.raw, None, reason=REUSED_ID))
    return entries


def _event_of(item: Item, origin: str) -> Event | UndecodableEvent:
    try:
        return closed(item, origin)
    except UndecodableEvent as exc:
        return exc


def _opened(item: Item, event: Event) -> Entry:
    """Return an event that is new here; what does not open is kept without what is wrong."""
    try:
        opened = keys.opened_event(event, item.raw, item.ct, item.wrapped)
    except MissingKey:
        sealed = Sealed(event, item.raw, _fitting(event, item.ct), None)
        return Entry(item.seq, item.chain, item.raw, event, sealed, NO_KEY)
    sealed = Sealed(opened, item.raw, item.ct, item.wrapped)
    return Entry(item.seq, item.chain, item.raw, event, sealed)


def closed(item: Item, origin: str) -> Event:
    """Return the event of a number without its personal values.

    ``UndecodableEvent`` if it is none of that origin.
    """
    try:
        event = from_raw(item.raw)
    except UndecodableEvent as exc:
        raise UndecodableEvent(NO_EVENT) from exc
    if event.origin != origin:
        raise UndecodableEvent(OTHER_STREAM)
    return event


def decoded(item: Item, origin: str) -> Event:
    """Return the opened event of a number; ``MissingKey`` if it does not open."""
    return keys.opened_event(closed(item, origin), item.raw, item.ct, item.wrapped)


def _fitting(event: Event, ct: bytes | None) -> bytes | None:
    """Return the ciphertext if it is the one the event names."""
    if ct is None or event.secret is None:
        return None
    return ct if hashlib.sha256(ct).hexdigest() == event.secret.sha256 else None


def transactions(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Yield the entries of each transaction; bytes that are no event stay where they stand."""
    group: list[Entry] = []
    for entry in entries:
        if group and _begins_anew(group, entry):
            yield group
            group = []
        group.append(entry)
    if group:
        yield group


def _begins_anew(group: Sequence[Entry], entry: Entry) -> bool:
    last = next((e.event for e in reversed(group) if e.event), None)
    event = entry.event
    if last is None:
        return event is None or event.tx_index == 0
    if event is None:
        return last.tx_index >= last.tx_size - 1
    return event.tx != last.tx


def is_complete(group: Sequence[Entry]) -> bool:
    """Whether the entries are one whole transaction, or bytes that are in none."""
    events = [entry.event for entry in group if entry.event]
    if not events:
        return True
    indices = [event.tx_index for event in events]
    return len(events) == len(group) == events[0].tx_size and indices == list(range(len(events)))
