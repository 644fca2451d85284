"""What is not in Elasticsearch yet, read from PostgreSQL alone, in bounded chunks."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from django.conf import settings

from accounts.lines import lines_after
from consumers import ship_status
from consumers.ship_documents import (
    MINUTE,
    Document,
    NumberedEvent,
    of_access,
    of_event,
    of_status,
)
from events import sql
from events.registry import kind_of_type

MOST_DOCUMENTS = 500
MOST_BYTES = 5_000_000
MOST_CHUNKS = 10  # of one stream in one go
ACCESS, STATUS = "access", "status"  # streams beside those of events


@dataclass(frozen=True, slots=True)
class Chunk:
    """What follows number ``after`` of a stream, up to ``number``; numbers may have no document.

    ``is_last`` says that nothing was known to follow when it was read.
    """

    stream: str
    after: int
    number: int
    documents: Sequence[Document]
    is_last: bool = True


# The next numbers of a stream, as many as are about 5 MB; those without an event, too.
_NUMBERS = """
SELECT seq, chain, event_id::text, entity_uid::text, type, actor::text, ts, tx::text, tx_index, raw,
       (extract(epoch FROM recorded_at) * 1000000)::bigint
FROM (
    SELECT n.seq, n.chain, e.event_id, e.entity_uid, e.type, e.actor, e.ts, e.tx, e.tx_index,
           e.raw, e.recorded_at, coalesce(sum(octet_length(e.raw)) OVER (
               ORDER BY n.seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
    FROM (
        SELECT seq, chain, event_id FROM events_eventnumber
        WHERE origin = %(origin)s AND epoch = %(epoch)s AND seq > %(after)s AND seq <= %(head)s
        ORDER BY seq LIMIT %(most)s
    ) AS n LEFT JOIN events_event e ON e.event_id = n.event_id
) AS sized
WHERE before < %(bytes)s ORDER BY seq
"""

_CURSOR = "SELECT number FROM consumers_shipcursor WHERE stream = %s"


def chunks(now: int) -> Iterator[Chunk]:
    """Yield what was not shipped, of each stream a few chunks at most; ``now`` in µs."""
    for behind in ship_status.streams_behind():
        yield from _in_order(functools.partial(_events, behind), behind.number)
    yield from _in_order(_access, _cursor(ACCESS))
    minute = now // MINUTE
    known = _cursor(STATUS)
    if minute > known:
        status = of_status(ship_status.counts(), settings.LOCATION_ID, minute)
        yield Chunk(STATUS, known, minute, [status])


def _in_order(read: Callable[[int], Chunk | None], after: int) -> Iterator[Chunk]:
    for _ in range(MOST_CHUNKS):
        chunk = read(after)
        if chunk is None:
            return
        yield chunk
        if chunk.is_last:
            return
        after = chunk.number


def _events(behind: ship_status.Behind, after: int) -> Chunk | None:
    asked = {
        "origin": behind.origin,
        "epoch": behind.epoch,
        "after": after,
        "head": behind.head,
        "most": MOST_DOCUMENTS,
        "bytes": MOST_BYTES,
    }
    rows = sql.execute(_NUMBERS, asked).rows()
    if not rows:
        return None
    documents = [_document(NumberedEvent._make(row), behind) for row in rows if row[2] is not None]
    number = rows[-1][0]
    return Chunk(behind.stream, after, number, documents, number == behind.head)


def _document(numbered: NumberedEvent, behind: ship_status.Behind) -> Document:
    kind = kind_of_type(numbered.type)
    name = None if kind is None else kind.name
    return of_event(numbered, behind.origin, behind.epoch, settings.LOCATION_ID, name)


def _access(after: int) -> Chunk | None:
    lines = lines_after(after, MOST_DOCUMENTS)
    if not lines:
        return None
    documents = [of_access(line, settings.LOCATION_ID) for line in lines]
    return Chunk(ACCESS, after, lines[-1].id, documents, len(lines) < MOST_DOCUMENTS)


def _cursor(stream: str) -> int:
    rows = sql.execute(_CURSOR, [stream]).rows()
    return int(rows[0][0]) if rows else 0
