"""Where this location stands in each other location's stream; moved only while applying."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from events import sql
from events.chain import Head
from events.errors import WrongCursor
from events.streams import keep_head


@dataclass(frozen=True, slots=True)
class Numbered:
    """One number of a stream; ``event_id`` is None for bytes that are no event."""

    seq: int
    event_id: UUID | None
    chain: bytes


@dataclass(frozen=True, slots=True)
class Advance:
    """A step of the cursor in ``(origin, epoch)`` from number ``after`` over ``numbers``.

    ``head`` is the signed head at the last of them, if one ends there: whoever pulls from this
    location needs it.
    """

    origin: str
    epoch: int
    after: int
    numbers: Sequence[Numbered]
    kafka_offset: int | None = None
    head: Head | None = None


# Compare and set: of two processes that apply one stream, the later finds another number.
_FENCE = """
UPDATE events_received SET seq = %(to)s, chain = %(chain)s,
       kafka_offset = coalesce(%(kafka_offset)s::bigint, kafka_offset)
WHERE origin = %(origin)s AND epoch = %(epoch)s AND seq = %(after)s
RETURNING seq
"""


_START = """
INSERT INTO events_received (origin, epoch, seq, chain, kafka_offset)
VALUES (%s, %s, 0, '', 0) ON CONFLICT DO NOTHING
"""
_POSITION = "SELECT seq, chain FROM events_received WHERE origin = %s AND epoch = %s"

# The sequencer numbers with the same statement.
NUMBER = """
INSERT INTO events_eventnumber (origin, epoch, seq, event_id, chain)
SELECT %s, %s, * FROM unnest(%b::bigint[], %b::uuid[], %b::bytea[])
"""

# Only the owner of the table may change a number; this function is the owner's, and lets nothing
# else be changed than what is wanted here (migrations: 0005).
_NAME_EVENT = "SELECT sins_name_event(%s, %s, %s, %s)"
_NO_LETTER = """
DELETE FROM events_deadletter
WHERE source = 'stream' AND origin = %s AND epoch = %s AND seq = %s
"""


def position(origin: str, epoch: int, start: bytes) -> tuple[int, bytes]:
    """Return ``(seq, chain)`` of a stream; ``start`` is its chain value at 0.

    Asking leaves no trace: whoever names a stream that does not exist makes none.
    """
    rows = sql.execute(_POSITION, [origin, epoch]).rows()
    return rows[0] if rows else (0, start)


def fence(advance: Advance) -> None:
    """Move the cursor; ``WrongCursor`` if it is not where ``advance`` begins."""
    last = advance.numbers[-1]
    if advance.after == 0:
        sql.execute(_START, [advance.origin, advance.epoch])
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
    """Keep the numbers and chain values of the events just applied, and their head."""
    sql.execute(
        NUMBER,
        [
            advance.origin,
            advance.epoch,
            [numbered.seq for numbered in advance.numbers],
            [numbered.event_id for numbered in advance.numbers],
            [numbered.chain for numbered in advance.numbers],
        ],
    )
    if advance.head is not None:
        keep_head(sql, advance.head)


def name_event(origin: str, epoch: int, seq: int, event_id: UUID) -> None:
    """Give a number that had none its event, which is here; its bytes are no dead letter any more.

    The database refuses any event but the one whose bytes the chain runs over.
    """
    sql.execute(_NAME_EVENT, [origin, epoch, seq, event_id])
    sql.execute(_NO_LETTER, [origin, epoch, seq])
