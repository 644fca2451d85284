"""Copies of what was not received as an event; they block nothing else."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import structlog
from django.db import connection

from events.stamp import to_datetime

KAFKA, PULL, STREAM = "kafka", "pull", "stream"
MOST_BYTES = 65_536
DEAD_LETTER = "dead_letter"

log = structlog.get_logger("consumers.dead_letters")

# The same bytes at the same place are one dead letter, however often they are read.
_KEEP = """
INSERT INTO events_deadletter (origin, epoch, seq, source, reason, raw, received_at)
SELECT %(origin)s, %(epoch)s, %(seq)s, %(source)s, %(reason)s, %(raw)s, %(received_at)s
WHERE NOT EXISTS (
    SELECT 1 FROM events_deadletter WHERE origin = %(origin)s AND source = %(source)s
    AND epoch IS NOT DISTINCT FROM %(epoch)s AND seq IS NOT DISTINCT FROM %(seq)s
    AND raw = %(raw)s)
"""

# What is kept, newest first; bytes are counted and hashed where they are.
_KEPT = """
SELECT id, origin, epoch, seq, source, reason, octet_length(raw), encode(sha256(raw), 'hex'),
       received_at
FROM events_deadletter WHERE %(ids)s::bigint[] IS NULL OR id = ANY(%(ids)s)
ORDER BY id DESC LIMIT %(most)s
"""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Bytes of a stream, from where, and why they were not received.

    ``source`` ``stream`` are bytes that have a number at their origin: they are kept whole, since
    the chain runs over them and other locations ask for them.
    """

    origin: str
    epoch: int | None
    seq: int | None
    source: str
    reason: str
    raw: bytes


def keep(letter: DeadLetter, now: int) -> None:
    """Keep a dead letter once; ``now`` in µs. Nothing that came beside the bytes is kept."""
    raw = letter.raw if letter.source == STREAM else letter.raw[:MOST_BYTES]
    with connection.cursor() as cursor:
        cursor.execute(
            _KEEP,
            {
                "origin": letter.origin,
                "epoch": letter.epoch,
                "seq": letter.seq,
                "source": letter.source,
                "reason": letter.reason,
                "raw": raw,
                "received_at": to_datetime(now),
            },
        )
        is_new = cursor.rowcount == 1
    if is_new:
        log.warning(
            DEAD_LETTER,
            origin=letter.origin,
            epoch=letter.epoch,
            seq=letter.seq,
            source=letter.source,
            reason=letter.reason,
        )


@dataclass(frozen=True, slots=True)
class Kept:
    """A dead letter that is kept, all but its bytes; ``size`` is in bytes, ``sha256`` in hex."""

    id: int
    origin: str
    epoch: int | None
    seq: int | None
    source: str
    reason: str
    size: int
    sha256: str
    received_at: datetime

    @property
    def place(self) -> str:
        """Where it stands: ``loc2 1:17``, or the location alone for what has no number."""
        return self.origin if self.seq is None else f"{self.origin} {self.epoch}:{self.seq}"


def kept(ids: Collection[int] | None = None, most: int | None = None) -> list[Kept]:
    """Return dead letters, newest first: all, those with these ids, or at most ``most``."""
    with connection.cursor() as cursor:
        cursor.execute(_KEPT, {"ids": None if ids is None else list(ids), "most": most})
        return [Kept(*row) for row in cursor.fetchall()]


def raw_of(letter: Kept) -> bytes:
    """Return the bytes of a dead letter; none if it has gone meanwhile."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT raw FROM events_deadletter WHERE id = %s", [letter.id])
        row = cursor.fetchone()
    return bytes(row[0]) if row else b""


def forget(letter: Kept) -> None:
    """Take away a dead letter that is settled; never bytes that the chain runs over."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM events_deadletter WHERE id = %s AND source <> %s", [letter.id, STREAM]
        )
