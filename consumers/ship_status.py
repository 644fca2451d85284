"""How far Elasticsearch is behind: for ``/readyz``, the metrics, and its own status documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from django.conf import settings
from django.db import connection

from events import sql, status

LATE_SECONDS = 15.0

# Up to which number each stream is here: the own one by its heads, others as far as applied.
_HEADS = """
SELECT origin, epoch, max(seq) AS seq FROM (
    SELECT origin, epoch, seq FROM events_streamhead WHERE origin = %(own)s
    UNION ALL SELECT origin, epoch, seq FROM events_received
) AS known GROUP BY origin, epoch
"""

_BEHIND = f"""
SELECT h.origin, h.epoch, coalesce(c.number, 0), h.seq
FROM ({_HEADS}) AS h
LEFT JOIN consumers_shipcursor c ON c.stream = h.origin || ':' || h.epoch
WHERE h.seq > coalesce(c.number, 0) ORDER BY h.origin, h.epoch
"""

# When the first of what is not shipped happened here: by stream, in the access log, and the
# minute whose status document is due.
_OLDEST = f"""
WITH behind (origin, epoch, number, head) AS ({_BEHIND})
SELECT extract(epoch FROM clock_timestamp() - least(
    (SELECT min(e.recorded_at) FROM behind b CROSS JOIN LATERAL (
        SELECT e.recorded_at
        FROM events_eventnumber n JOIN events_event e ON e.event_id = n.event_id
        WHERE n.origin = b.origin AND n.epoch = b.epoch AND n.seq > b.number
        ORDER BY n.seq LIMIT 1) AS e),
    (SELECT at FROM accounts_access WHERE id > coalesce(
        (SELECT number FROM consumers_shipcursor WHERE stream = 'access'), 0)
     ORDER BY id LIMIT 1),
    (SELECT to_timestamp((number + 1) * 60) FROM consumers_shipcursor WHERE stream = 'status')
))::float8
"""

# What a status document says of this location.
_COUNTED = ("state", "lag_events", "unreplicated", "dead_letters", "parked", "conflicts")
_UNSHIPPED = "SELECT count(*) FROM consumers_unshipped"


class Behind(NamedTuple):
    """A stream with numbers that are not shipped: the last that is, and the last there is."""

    origin: str
    epoch: int
    number: int
    head: int

    @property
    def stream(self) -> str:
        """Its name among the cursors."""
        return f"{self.origin}:{self.epoch}"


def streams_behind() -> Sequence[Behind]:
    """Return the streams of events that have more than was shipped."""
    rows = sql.execute(_BEHIND, {"own": settings.LOCATION_ID}).rows()
    return [Behind(*row) for row in rows]


def lag() -> float | None:
    """Return the age in seconds of the oldest that is not shipped; None where shipping is off.

    A status document is due every minute, so this grows, too, while nothing else happens.
    """
    if not settings.ELASTICSEARCH_HOST:
        return None
    with connection.cursor() as cursor:
        cursor.execute(_OLDEST, {"own": settings.LOCATION_ID})
        [age] = cursor.fetchone()
    return max(0.0, age or 0.0)


def unshipped() -> int:
    """Return how many documents Elasticsearch has refused."""
    with connection.cursor() as cursor:
        cursor.execute(_UNSHIPPED)
        return int(cursor.fetchone()[0])


def degraded() -> list[str]:
    """Return what does not work as it should, for ``/readyz``; empty when all is well or off."""
    age = lag()
    if age is None:
        return []
    refused = unshipped()
    found = {
        f"elasticsearch: {age:.0f} s behind": age > LATE_SECONDS,
        f"elasticsearch: documents refused: {refused}": refused,
    }
    return [sentence for sentence, is_so in found.items() if is_so]


def counts() -> dict[str, str | int]:
    """Return what a status document says of this location."""
    known = status.sync_status()
    return {name: known[name] for name in _COUNTED} | {"unshipped": unshipped()}
