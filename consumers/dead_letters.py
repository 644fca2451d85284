"""Copies of what was not received as an event; they block nothing else."""

from __future__ import annotations

from dataclasses import dataclass

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
