"""Which writes of this location are only here, and since when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.db import connection

from events.streams import Position, epochs

# Own events without a number, when the oldest that no peer has was recorded (the first beyond the
# acknowledged number, else the first without one), and whether new ones are refused.
_OWN_WRITES = """
WITH unnumbered AS (
    SELECT count(*) AS events, min(e.recorded_at) AS since
    FROM events_outbox o JOIN events_event e ON e.tx = o.tx
), next AS (
    SELECT e.recorded_at AS since FROM events_eventnumber n JOIN events_event e USING (event_id)
    WHERE n.origin = %(own)s AND n.epoch = %(epoch)s AND n.seq = %(acknowledged)s + 1
)
SELECT u.events, extract(epoch FROM clock_timestamp() - coalesce(next.since, u.since))::float8,
       EXISTS (SELECT FROM events_recovery)
FROM unnumbered u LEFT JOIN next ON true
"""

Heads = Mapping[str, Mapping[str, Any]]


def only_here(own: Position, said: Sequence[Heads]) -> tuple[int, float | None, bool]:
    """Return how many no peer has, the oldest's age in seconds, whether new ones are refused.

    ``said`` is what each peer last said of all streams; without any peer nothing is missing.
    """
    lacking = _lacking(own, said)
    epoch, acknowledged, _ = lacking[0] if lacking else (own.epoch, own.seq, 0)
    place: dict[str, Any] = {
        "own": settings.LOCATION_ID,
        "epoch": epoch,
        "acknowledged": acknowledged,
    }
    with connection.cursor() as cursor:
        cursor.execute(_OWN_WRITES, place)
        unnumbered, oldest, is_recovering = cursor.fetchone()
    if not said:
        return 0, None, is_recovering
    count = sum(events for *_, events in lacking) + unnumbered
    return count, None if oldest is None else round(oldest, 1), is_recovering


def _lacking(own: Position, said: Sequence[Heads]) -> list[tuple[int, int, int]]:
    """Return ``(epoch, last number any peer has, events no peer has)`` where there are such."""
    known = [epochs(heads.get(settings.LOCATION_ID)) for heads in said]
    found = [
        (each.epoch, max((numbers.get(each.epoch, 0) for numbers in known), default=0), each.seq)
        for each in (*own.older, own)
    ]
    return [(epoch, last, seq - last) for epoch, last, seq in found if seq > last]
