"""Records that a wrong clock stamped far in the future: the same values under a right stamp.

A receiver takes every event as it is, whatever its stamp says, for dropping one would diverge. All
that was written after it rests on it and got a stamp still later. One event withdraws them together
and says again what they said.
"""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from events import heads, log, sql
from events.drafting import Author, Draft
from events.envelope import Event
from events.fold import live
from events.recorder import record

FAR_MICROS = 3_600_000_000

_AHEAD = """
SELECT entity_uid FROM events_entityhead
WHERE last_ts > %s AND parked_reason IS NULL ORDER BY entity_uid
"""


def ahead(now: int) -> Iterator[UUID]:
    """Yield the records whose last change is stamped more than an hour after ``now`` (µs)."""
    for (uid,) in sql.execute(_AHEAD, [now + FAR_MICROS]).rows():
        yield uid


def restamp(uid: UUID, author: Author) -> list[Event]:
    """Withdraw a record's events of the far future, and say again what stands by them.

    ``Stale`` if somebody changed it meanwhile: try again. What they said of the past begins now,
    since one event has one instant.
    """
    head = heads.read([uid])[uid]
    wrong = [
        event
        for event in sorted(live(log.load([uid])[uid]), key=lambda event: event.stamp)
        if event.ts > author.now + FAR_MICROS and not event.voids
    ]
    if not wrong:
        return []
    groups = {group for event in wrong for group in event.set}
    draft = Draft(
        uid,
        wrong[-1].type,
        {group: head.memo.state[group] for group in sorted(groups)},
        head.kind,
        known=head.memo.stamps,
        voids=[event.event_id for event in wrong],
    )
    return record([draft], author)
