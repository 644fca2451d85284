"""Whether the streams that are here are what their origins signed. Nothing is written.

A stream is read in pages, so memory stays flat however long it is. What is here up to the moment a
check begins is checked; numbers are never taken back, so what comes meanwhile changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings

from events import chain, locations, sql
from events.chain import Head
from events.envelope import Event, from_raw
from events.errors import UndecodableEvent
from events.location_keys import Key

PAGE = 500  # numbers; an event can be long

MISSING = "is missing"
NO_EVENT_HERE = "its event is missing"
NO_BYTES_HERE = "its bytes are missing"
CHAIN_DIFFERS = "its bytes, or its chain value, are not those that were chained"
NO_EVENT = "its bytes are no event"
NO_CIPHERTEXT = "its ciphertext is missing"
OTHER_CIPHERTEXT = "its ciphertext is not the one its bytes name"
HEAD_DIFFERS = "its head names another chain value"
HEAD_NOT_SIGNED = "its head is not signed by its location"
NOT_REGISTERED = "its location is not registered: the head's signature cannot be checked"
BEYOND_HEAD = "no signed head covers it"
CURSOR_DIFFERS = "the cursor stands elsewhere, or has another chain value"


class Wrong(NamedTuple):
    """A number that is wrong, and what is wrong with it."""

    seq: int
    what: str


@dataclass(frozen=True, slots=True)
class Stream:
    """What is known of one stream before its numbers are read.

    ``last`` is its last number here, ``cursor`` where applying it stands, if that is kept.
    """

    origin: str
    epoch: int
    events: int
    last: int
    cursor: tuple[int, bytes] | None
    heads: Sequence[Head]


class _Number(NamedTuple):
    """One number with all that is kept of it; ``letters`` are bytes that are no event."""

    seq: int
    chain: bytes
    event_id: UUID | None
    raw: bytes | None
    ct_sha256: str | None
    letters: Sequence[bytes] | None
    named: dict[str, Any]


# Every stream of which anything is here: numbers, a head, or a cursor.
_STREAMS = """
SELECT origin, epoch, coalesce(n.events, 0), coalesce(n.last, 0), r.seq, r.chain
FROM (SELECT origin, epoch FROM events_streamhead UNION SELECT origin, epoch FROM events_received
      UNION SELECT origin, epoch FROM events_eventnumber) AS known
LEFT JOIN (SELECT origin, epoch, count(event_id) AS events, max(seq) AS last
           FROM events_eventnumber GROUP BY origin, epoch) AS n USING (origin, epoch)
LEFT JOIN events_received r USING (origin, epoch)
WHERE %(origin)s::text IS NULL OR origin = %(origin)s
ORDER BY origin, epoch
"""

_HEADS = """
SELECT seq, chain, signature FROM events_streamhead WHERE origin = %s AND epoch = %s ORDER BY seq
"""

# The next numbers with their events, as columns say them; of no event, the bytes kept instead.
_NUMBERS = """
SELECT n.seq, n.chain, n.event_id, e.raw, encode(sha256(s.ct), 'hex'),
       CASE WHEN n.event_id IS NULL THEN ARRAY(
           SELECT d.raw FROM events_deadletter d WHERE d.source = 'stream'
           AND d.origin = n.origin AND d.epoch = n.epoch AND d.seq = n.seq) END,
       e.origin, e.entity_uid, e.type, e.subject_uid, e.actor, e.ts, e.tx, e.tx_index
FROM events_eventnumber n
LEFT JOIN events_event e ON e.event_id = n.event_id
LEFT JOIN events_eventsecret s ON s.event_id = n.event_id
WHERE n.origin = %s AND n.epoch = %s AND n.seq > %s AND n.seq <= %s ORDER BY n.seq LIMIT %s
"""
_NAMED = ("origin", "entity_uid", "type", "subject_uid", "actor", "ts", "tx", "tx_index")


def streams_here(origin: str | None = None) -> list[Stream]:
    """Return the streams to check: all that are here, or those of one origin."""
    with sql.snapshot():
        found = sql.execute(_STREAMS, {"origin": origin}).rows()
        return [
            Stream(
                name,
                epoch,
                events,
                last,
                None if seq is None else (seq, value),
                [Head(name, epoch, *head) for head in sql.execute(_HEADS, [name, epoch]).rows()],
            )
            for name, epoch, events, last, seq, value in found
        ]


def first_wrong(stream: Stream, tell: Callable[[int], None] = lambda _: None) -> Wrong | None:
    """Return the first number of a stream that is wrong; ``None`` if all is as it was signed.

    ``tell`` is given each number that was checked.
    """
    heads = {head.seq: head for head in stream.heads}
    keys = locations.signers().get(stream.origin, ())
    before, last = chain.start(stream.origin, stream.epoch), 0
    if 0 in heads and (what := _wrong_head(heads[0], before, keys)):
        return Wrong(0, what)
    for number in _numbers(stream):
        if number.seq != last + 1:
            return Wrong(last + 1, MISSING)
        what = _wrong_bytes(number, before)
        if what is None and number.seq in heads:
            what = _wrong_head(heads[number.seq], number.chain, keys)
        if what is not None:
            return Wrong(number.seq, what)
        before, last = number.chain, number.seq
        tell(last)
    return _wrong_end(stream, last, before)


def _numbers(stream: Stream) -> Iterator[_Number]:
    after = 0
    while after < stream.last:
        place = [stream.origin, stream.epoch, after, stream.last, PAGE]
        rows = sql.execute(_NUMBERS, place).rows()
        for row in rows:
            yield _Number._make((*row[:6], dict(zip(_NAMED, row[6:], strict=True))))
        after = rows[-1][0] if rows else stream.last


def _wrong_bytes(number: _Number, before: bytes) -> str | None:
    """Say what is wrong with a number, given the chain value before it."""
    if number.event_id is None:
        fits = [raw for raw in number.letters or () if chain.step(before, raw) == number.chain]
        return None if fits else CHAIN_DIFFERS if number.letters else NO_BYTES_HERE
    if number.raw is None:
        return NO_EVENT_HERE
    if chain.step(before, number.raw) != number.chain:
        return CHAIN_DIFFERS
    try:
        event = from_raw(number.raw)
    except UndecodableEvent:
        return NO_EVENT
    return _wrong_columns(number, event) or _wrong_ciphertext(number, event)


def _wrong_columns(number: _Number, event: Event) -> str | None:
    kept = {"event_id": number.event_id, **number.named}
    differing = [name for name, value in kept.items() if getattr(event, name) != value]
    return f"other than in its bytes: {', '.join(differing)}" if differing else None


def _wrong_ciphertext(number: _Number, event: Event) -> str | None:
    if event.secret is None:
        return None
    if number.ct_sha256 is None:
        return NO_CIPHERTEXT
    return None if number.ct_sha256 == event.secret.sha256 else OTHER_CIPHERTEXT


def _wrong_head(head: Head, value: bytes, keys: Sequence[Key]) -> str | None:
    if head.chain != value:
        return HEAD_DIFFERS
    if not keys:
        return NOT_REGISTERED
    return None if any(key.has_signed(head) for key in keys) else HEAD_NOT_SIGNED


def _wrong_end(stream: Stream, last: int, value: bytes) -> Wrong | None:
    """Say what is wrong where the numbers end: heads and cursor may know of more, or of less."""
    covered = stream.heads[-1].seq if stream.heads else 0
    if covered > last:
        return Wrong(last + 1, MISSING)
    if stream.cursor is None:
        # Own numbers come together with their head; nobody applies them.
        is_own = stream.origin == settings.LOCATION_ID
        return Wrong(covered + 1, BEYOND_HEAD) if is_own and covered < last else None
    seq, at_cursor = stream.cursor
    if seq > last:
        return Wrong(last + 1, MISSING)
    if seq < last:
        return Wrong(seq + 1, CURSOR_DIFFERS)
    return Wrong(last, CURSOR_DIFFERS) if last and at_cursor != value else None
