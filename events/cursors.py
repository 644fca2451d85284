"""Where this location stands in each other location's stream; moved only while applying."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import connection

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
       kafka_offset = coalesce(%(kafka_offset)s, kafka_offset)
WHERE origin = %(origin)s AND epoch = %(epoch)s AND seq = %(after)s
"""


def position(origin: str, epoch: int, start: bytes) -> tuple[int, bytes, int]:
    """Return ``(seq, chain, kafka_offset)`` of a stream; ``start`` is its chain value at 0."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO events_received (origin, epoch, seq, chain, kafka_offset)"
            " VALUES (%s, %s, 0, %s, 0) ON CONFLICT DO NOTHING",
            [origin, epoch, start],
        )
        cursor.execute(
            "SELECT seq, chain, kafka_offset FROM events_received WHERE origin = %s AND epoch = %s",
            [origin, epoch],
        )
        seq, chain, offset = cursor.fetchone()
    return seq, bytes(chain), offset


def fence(advance: Advance) -> None:
    """Move the cursor; ``WrongCursor`` if it is not where ``advance`` begins."""
    last = advance.numbers[-1]
    with connection.cursor() as cursor:
        cursor.execute(
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
        if cursor.rowcount != 1:
            raise WrongCursor


def number(advance: Advance) -> None:
    """Keep the numbers and chain values of the events just applied."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO events_eventnumber (origin, epoch, seq, event_id, chain)"
            " SELECT %s, %s, * FROM unnest(%s::bigint[], %s::uuid[], %s::bytea[])",
            [
                advance.origin,
                advance.epoch,
                [numbered.seq for numbered in advance.numbers],
                [numbered.event_id for numbered in advance.numbers],
                [numbered.chain for numbered in advance.numbers],
            ],
        )
