"""Where this location stands in each other location's stream; moved only while applying."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from events import sql
from events.errors import WrongCursor


@dataclass(frozen=True, slots=True)
class Numbered:
    """One number of a stream; ``event_id`` is None for bytes that are no event."""

    seq: int
    event_id: UUID | None
    chain: bytes


@dataclass(frozen=True, slots=True)
class Advance:
    """A step of the cursor in ``(origin, epoch)`` from number ``after`` over ``numbers``."""

    origin: str
    epoch: int
    after: int
    numbers: Sequence[Numbered]
    kafka_offset: int | None = None


# Compare and set: of two processes that apply one stream, the later finds another number.
_FENCE = """
UPDATE events_received SET seq = %(to)s, chain = %(chain)s,
       kafka_offset = coalesce(%(kafka_offset)s::bigint, kafka_offset)
WHERE origin = %(origin)s AND epoch = %(epoch)s AND seq = %(after)s
RETURNING seq
"""


_START = """
INSERT INTO events_received (origin, epoch, seq, chain, kafka_offset)
VALUES (%s, %s, 0, %s, 0) ON CONFLICT DO NOTHING
"""
_POSITION = "SELECT seq, chain, kafka_offset FROM events_received WHERE origin = %s AND epoch = %s"

_NUMBER = """
INSERT INTO events_eventnumber (origin, epoch, seq, event_id, chain)
SELECT %s, %s, * FROM unnest(%s::bigint[], %s::uuid[], %s::bytea[])
"""


def position(origin: str, epoch: int, start: bytes) -> tuple[int, bytes, int]:
    """Return ``(seq, chain, kafka_offset)`` of a stream; ``start`` is its chain value at 0."""
    sql.execute(_START, [origin, epoch, start])
    [(seq, chain, offset)] = sql.execute(_POSITION, [origin, epoch]).rows()
    return seq, chain, offset


def fence(advance: Advance) -> None:
    """Move the cursor; ``WrongCursor`` if it is not where ``advance`` begins."""
    last = advance.numbers[-1]
    moved = sql.execute(
        _FENCE,
        {
            "to": last.seq,
            "chain": last.chain,
            "kafka_offset": advance.kafka_offset,
            "origin": advance.origin,
            "epoch": advance.epoch,
            "after": advance.after,
        },
    )
    if not moved.rows():
        raise WrongCursor


def number(advance: Advance) -> None:
    """Keep the numbers and chain values of the events just applied."""
    sql.execute(
        _NUMBER,
        [
            advance.origin,
            advance.epoch,
            [numbered.seq for numbered in advance.numbers],
            [numbered.event_id for numbered in advance.numbers],
            [numbered.chain for numbered in advance.numbers],
        ],
    )
