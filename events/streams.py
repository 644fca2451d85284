"""The streams this location holds, its own and other locations': numbers, heads, bytes."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from django.conf import settings
from django.db import connection

from events import chain
from events.chain import Head

PAGE = 1000  # events
FIRST_EPOCH = 1


class Sends(Protocol):
    """Whatever runs a statement: a cursor, or ``events.sql``."""

    def execute(self, query: Any, params: Any, /) -> Any:
        """Run one statement."""


class Executes(Sends, Protocol):
    """A cursor, be it Django's or psycopg's own."""

    def fetchone(self) -> Any:
        """Return the next row."""

    def fetchall(self) -> Any:
        """Return the other rows."""


@dataclass(frozen=True, slots=True)
class Item:
    """One number of a stream: the bytes, and what travels beside them."""

    seq: int
    raw: bytes
    chain: bytes
    ct: bytes | None = None
    wrapped: bytes | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A run of numbers from ``after + 1`` to its head, whole transactions.

    ``before`` is the chain value at ``after`` in the stream of whoever serves the page.
    """

    origin: str
    epoch: int
    after: int
    before: bytes
    items: Sequence[Item]
    head: Head


@dataclass(frozen=True, slots=True)
class Position:
    """Up to where a stream is known: its number and its chain value there.

    ``older`` are its former epochs, oldest first: each restore of a location begins another.
    """

    epoch: int
    seq: int
    chain: bytes
    older: tuple[Position, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the form in heartbeats; ``older`` only where there is any."""
        said = {"epoch": self.epoch, "seq": self.seq, "chain": self.chain.hex()}
        return said | ({"older": [one.to_json() for one in self.older]} if self.older else {})


# A head between two others that are at most a page apart is not needed any more.
_KEEP_HEAD = """
WITH two AS (
    SELECT seq FROM events_streamhead
    WHERE origin = %(origin)s AND epoch = %(epoch)s AND seq < %(seq)s ORDER BY seq DESC LIMIT 2
), between AS (
    SELECT max(seq) AS seq, CASE WHEN count(*) = 2 THEN min(seq) ELSE 0 END AS older FROM two
), gone AS (
    DELETE FROM events_streamhead h USING between b
    WHERE h.origin = %(origin)s AND h.epoch = %(epoch)s AND h.seq = b.seq
      AND %(seq)s - b.older <= %(page)s
)
INSERT INTO events_streamhead (origin, epoch, seq, chain, signature)
VALUES (%(origin)s, %(epoch)s, %(seq)s, %(chain)s, %(signature)s) ON CONFLICT DO NOTHING
"""

# The newest head of this location's stream.
_OWN_HEAD = """
SELECT epoch, seq, chain, signature FROM events_streamhead WHERE origin = %s
ORDER BY epoch DESC, seq DESC LIMIT 1
"""

# Where a page ends: at the last head within it, else at the next one; only where numbers are here.
_HEAD_AFTER = """
SELECT seq, chain, signature FROM events_streamhead
WHERE origin = %(origin)s AND epoch = %(epoch)s AND seq > %(after)s AND seq <= coalesce(
      (SELECT seq FROM events_received WHERE origin = %(origin)s AND epoch = %(epoch)s), seq)
ORDER BY seq > %(after)s + %(page)s, CASE WHEN seq > %(after)s + %(page)s THEN seq ELSE -seq END
LIMIT 1
"""

# The bytes of a run of numbers; of a number that is no event, those kept with the dead letters.
_ITEMS = """
SELECT n.seq, coalesce(e.raw, d.raw), n.chain, s.ct, k.wrapped
FROM events_eventnumber n
LEFT JOIN events_event e ON e.event_id = n.event_id
LEFT JOIN events_eventsecret s ON s.event_id = n.event_id
LEFT JOIN events_subjectkey k ON k.subject_uid = e.subject_uid AND k.origin = e.origin
LEFT JOIN events_deadletter d ON n.event_id IS NULL AND d.source = 'stream'
     AND d.origin = n.origin AND d.epoch = n.epoch AND d.seq = n.seq
WHERE n.origin = %s AND n.epoch = %s AND n.seq > %s AND n.seq <= %s
ORDER BY n.seq
"""

# A stream that stopped goes on once its origin has begun another epoch.
_STOPPED = """
SELECT r.origin, max(r.epoch) FROM events_received r
WHERE r.stopped_reason IS NOT NULL AND NOT EXISTS (
    SELECT FROM events_streamhead h WHERE h.origin = r.origin AND h.epoch > r.epoch)
GROUP BY r.origin
"""


def own_key() -> bytes:
    """Return the key this location signs with."""
    return base64.b64decode(settings.LOCATION_KEY)


def own_head(cursor: Executes, location: str) -> Head:
    """Return the newest head of this location's own stream; unsigned while it is empty."""
    cursor.execute(_OWN_HEAD, [location])
    row = cursor.fetchone()
    if row is None:
        return Head(location, FIRST_EPOCH, 0, chain.start(location, FIRST_EPOCH))
    epoch, seq, value, signature = row
    return Head(location, epoch, seq, bytes(value), bytes(signature))


def sign_again(cursor: Sends, head: Head) -> None:
    """Let a kept head bear another signature of its location."""
    cursor.execute(
        "UPDATE events_streamhead SET signature = %s WHERE origin = %s AND epoch = %s AND seq = %s",
        [head.signature, head.origin, head.epoch, head.seq],
    )


def keep_head(cursor: Sends, head: Head) -> None:
    """Keep a signed head that is known to be its origin's."""
    values = {
        "origin": head.origin,
        "epoch": head.epoch,
        "seq": head.seq,
        "chain": head.chain,
        "signature": head.signature,
        "page": PAGE,
    }
    cursor.execute(_KEEP_HEAD, values)


def positions() -> dict[str, Position]:
    """Return up to where this location knows each stream, its own included, in its newest epoch."""
    with connection.cursor() as cursor:
        own = own_head(cursor, settings.LOCATION_ID)
        cursor.execute("SELECT origin, epoch, seq, chain FROM events_received ORDER BY epoch")
        found: dict[str, list[Position]] = {own.origin: []}
        for origin, epoch, seq, value in cursor.fetchall():
            if origin != own.origin or epoch < own.epoch:
                found.setdefault(origin, []).append(Position(epoch, seq, bytes(value)))
    found[own.origin].append(Position(own.epoch, own.seq, own.chain))
    return {origin: replace(known[-1], older=tuple(known[:-1])) for origin, known in found.items()}


def each_epoch(said: Mapping[str, Any] | None) -> Sequence[Mapping[str, Any]]:
    """Return what ``Position.to_json`` says of each epoch, oldest first; nothing of nothing."""
    return (*said.get("older", ()), said) if said else ()


def epochs(said: Mapping[str, Any] | None) -> dict[int, int]:
    """Return ``{epoch: seq}`` of ``Position.to_json``, oldest first."""
    return {one["epoch"]: one["seq"] for one in each_epoch(said)}


def page(origin: str, epoch: int, after: int) -> Page | None:
    """Return the numbers after ``after`` up to a head, about 1,000; ``None`` if there are none."""
    with connection.cursor() as cursor:
        cursor.execute(
            _HEAD_AFTER, {"origin": origin, "epoch": epoch, "after": after, "page": PAGE}
        )
        row = cursor.fetchone()
        before = chain_at(origin, epoch, after)
        if row is None or before is None:
            return None
        head = Head(origin, epoch, row[0], bytes(row[1]), bytes(row[2]))
        cursor.execute(_ITEMS, [origin, epoch, after, head.seq])
        items = [
            Item(seq, bytes(raw), bytes(value), ct and bytes(ct), wrapped and bytes(wrapped))
            for seq, raw, value, ct, wrapped in cursor.fetchall()
        ]
    return Page(origin, epoch, after, before, items, head)


def chain_at(origin: str, epoch: int, seq: int) -> bytes | None:
    """Return the chain value at a number; ``None`` if this location does not have it."""
    if seq == 0:
        return chain.start(origin, epoch)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT chain FROM events_eventnumber WHERE origin = %s AND epoch = %s AND seq = %s",
            [origin, epoch, seq],
        )
        row = cursor.fetchone()
    return None if row is None else bytes(row[0])


def chains_between(origin: str, epoch: int, first: int, last: int) -> dict[int, bytes]:
    """Return ``{seq: chain value}`` of the numbers from ``first`` to ``last`` that are here."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT seq, chain FROM events_eventnumber"
            " WHERE origin = %s AND epoch = %s AND seq BETWEEN %s AND %s",
            [origin, epoch, first, last],
        )
        return {seq: bytes(value) for seq, value in cursor.fetchall()}


def applied_seq(origin: str, epoch: int) -> int:
    """Return the last number of a stream that is here, this location's own or another's."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(max(seq), 0) FROM events_eventnumber WHERE origin = %s AND epoch = %s",
            [origin, epoch],
        )
        return int(cursor.fetchone()[0])


def kafka_offsets(origins: Sequence[str]) -> dict[str, int]:
    """Return from where to read on in each location's topic."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT origin, max(kafka_offset) FROM events_received GROUP BY origin")
        known = dict(cursor.fetchall())
    return {origin: known.get(origin, 0) for origin in origins}


def stop(origin: str, epoch: int, reason: str) -> None:
    """Apply nothing more of a stream: it contradicts itself, and a person has to look."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO events_received AS r"
            " (origin, epoch, seq, chain, kafka_offset, stopped_reason)"
            " VALUES (%s, %s, 0, %s, 0, %s) ON CONFLICT (origin, epoch) DO UPDATE"
            " SET stopped_reason = coalesce(r.stopped_reason, excluded.stopped_reason)",
            [origin, epoch, chain.start(origin, epoch), reason],
        )


def stopped() -> dict[str, int]:
    """Return ``{origin: epoch}`` of the streams of which nothing more is applied.

    Their origins end that by beginning another epoch (events.forks).
    """
    with connection.cursor() as cursor:
        cursor.execute(_STOPPED)
        return dict(cursor.fetchall())


def has_begun_after(origin: str, epoch: int) -> bool:
    """Whether a later epoch of an origin is known here, by a signed head."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM events_streamhead WHERE origin = %s AND epoch > %s)",
            [origin, epoch],
        )
        return bool(cursor.fetchone()[0])
