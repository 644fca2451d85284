"""Stamps order events the same way at every location, in Python and in SQL."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

MOST_AHEAD = 2_000_000  # µs
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Stamp(NamedTuple):
    """The total order of events: µs since 1970, then origin, then event id.

    Tuples compare as SQL compares ``(ts, origin COLLATE "C", event_id)``: code points order
    like UTF-8 bytes, and a UUID compares as its 16 bytes.
    """

    ts: int
    origin: str
    event_id: UUID

    def to_json(self) -> list[int | str]:
        """Return ``[ts, origin, event_id]``, the form in envelopes, memos and sealed maps."""
        return [self.ts, self.origin, str(self.event_id)]


def known_stamp(value: list[int | str]) -> Stamp:
    """Return the stamp that ``Stamp.to_json`` wrote."""
    ts, origin, event_id = value
    if not isinstance(ts, int) or not isinstance(origin, str) or not isinstance(event_id, str):
        raise TypeError("a stamp is [ts, origin, event_id]")
    return Stamp(ts, origin, UUID(event_id))


def stamp_from_json(value: list[int | str] | None) -> Stamp | None:
    """Return the stamp that ``Stamp.to_json`` wrote; ``None`` (never set) stays ``None``."""
    return None if value is None else known_stamp(value)


def next_ts(now: int, last_ts: int) -> int:
    """Return the time of a write (µs) that must win over what it was based on.

    ``max(now, last_ts + 1)`` per entity: a write beats the version its author saw even after a
    wrong clock, with no counter to share between workers (as Pekko's ``LwwTime.increase``).
    """
    return max(now, last_ts + 1)


def clamped(now: int, ahead_ms: int | None) -> int:
    """Return the instant to stamp (µs), at most 2 s after what the peers' clocks show.

    ``ahead_ms`` is by how much those are ahead of this one, at the median; None without peers. A
    clock that is fast would win over all that others write meanwhile.
    """
    return now if ahead_ms is None else min(now, now + ahead_ms * 1000 + MOST_AHEAD)


def uuid7(now: int) -> UUID:
    """Return a version 7 UUID (RFC 9562) for the instant ``now`` (µs since 1970)."""
    millis, micros = divmod(now, 1000)
    # The 12 bits after the version hold the fraction of the millisecond (RFC 9562 §6.2, method 3).
    value = (millis & (1 << 48) - 1) << 80 | 0x7 << 76 | (micros * 4096 // 1000) << 64
    return UUID(int=value | 0b10 << 62 | secrets.randbits(62))


def to_micros(instant: datetime) -> int:
    """Return µs since 1970 of an aware datetime; ``ValueError`` if it has no zone."""
    if instant.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return (instant - _EPOCH) // timedelta(microseconds=1)


def to_datetime(micros: int) -> datetime:
    """Return the UTC datetime of ``micros`` µs since 1970."""
    return _EPOCH + timedelta(microseconds=micros)
