"""Commit first, number later: the one process that gives this location's events their numbers.

A number drawn inside the write transaction would be visible in another order than it was drawn,
and readers that go on from the last number they saw would miss events. Here only what is
committed gets a number; a late committer merely gets a later one, so no gap can exist.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter
from typing import Any
from uuid import UUID

import psycopg
import structlog
from django.db import connection

from events import chain, locations, measures
from events.chain import Head
from events.cursors import NUMBER
from events.errors import WrongCursor
from events.streams import PAGE, Executes, keep_head, own_head, sign_again

IDLE_SECONDS = 0.05
STANDBY_SECONDS = 1.0
NUMBERED = "events_numbered"
STANDING_BY = "sequencer_standing_by"
# Any number that nobody else uses in this database.
LOCK = 0x51_4E_53_01

log = structlog.get_logger("events.sequencer")

Row = tuple[int, UUID, bytes]  # outbox id, event id, raw

# What is committed, oldest entry first; one row more than a pass takes. While this location
# recovers, its next number is not known.
_COMMITTED = """
SELECT o.id, e.event_id, e.raw
FROM events_outbox o JOIN events_event e ON e.tx = o.tx AND e.origin = %s
WHERE NOT EXISTS (SELECT FROM events_recovery)
ORDER BY o.id, e.tx_index LIMIT %s
"""


def number_pass(cursor: Executes, location: str, seed: bytes) -> int:
    """Give numbers to at most 1,000 committed events; return how many.

    1. Take committed outbox entries, whole transactions, oldest entry first.
    2. Number their events on from the last head, and hash them into the chain.
    3. Sign the head that ends the pass.
    4. Delete the entries.

    The caller owns the transaction; whatever is sent is sent after it. ``WrongCursor`` if another
    process has numbered them meanwhile: its lock should have kept it from that, but through a
    pooler of connections a lock is nobody's.
    """
    cursor.execute(_COMMITTED, [location, PAGE + 1])  # 1
    rows = _whole(cursor.fetchall())
    if not rows:
        return 0
    before = own_head(cursor, location)  # 2
    seqs = range(before.seq + 1, before.seq + 1 + len(rows))
    values = list(chain.steps(before.chain, (bytes(raw) for _, _, raw in rows)))
    event_ids = [event_id for _, event_id, _ in rows]
    cursor.execute(NUMBER, [location, before.epoch, list(seqs), event_ids, values])
    head = Head(location, before.epoch, seqs[-1], values[-1])  # 3
    keep_head(cursor, chain.sign(head, seed))
    taken = sorted({entry for entry, _, _ in rows})
    cursor.execute("DELETE FROM events_outbox WHERE id = ANY(%s) RETURNING id", [taken])  # 4
    if len(cursor.fetchall()) < len(taken):
        raise WrongCursor
    return len(rows)


def _whole(rows: Iterable[Row]) -> list[Row]:
    """Return the rows of a pass without the transaction that does not fit into it."""
    found = list(rows)
    if len(found) <= PAGE:
        return found
    whole = [list(entry) for _, entry in groupby(found, key=itemgetter(0))][:-1]
    return [row for entry in whole for row in entry]


class Sequencer:
    """Numbers in a loop, on a connection of its own that also holds the lock.

    The lock and the work share the connection: who loses one loses the other. A second sequencer
    of the same location stands by.
    """

    def __init__(self, location: str, seed: bytes, numbered: threading.Event) -> None:
        self._location, self._seed = location, seed
        self._numbered = numbered  # wakes whoever sends
        self._connection: psycopg.Connection[Any] | None = None
        self._is_leading = self._has_said_so = False

    def step(self) -> bool:
        """Number one pass; return whether there was anything to number."""
        own = self._open()
        if not self._is_leading:
            if not self._lock(own):
                return False
            self._take_over(own)
            self._is_leading = True
        with own.transaction(), own.cursor() as cursor:
            count = number_pass(cursor, self._location, self._seed)
        if count:
            self._numbered.set()
            measures.numbered.inc(count)
            log.info(NUMBERED, events=count)
        return count > 0

    def pause(self) -> float:
        """Return how long to wait when there is nothing to do."""
        return IDLE_SECONDS if self._is_leading else STANDBY_SECONDS

    def close(self) -> None:
        """Give up connection and lock; the next step takes them again."""
        own, self._connection = self._connection, None
        self._is_leading = False
        if own is not None:
            with contextlib.suppress(psycopg.Error):
                own.close()

    def _open(self) -> psycopg.Connection[Any]:
        if self._connection is None:
            # Beside Django's connections, and never out of their pool.
            wrapper = connection.copy("sequencer")
            wrapper.settings_dict["OPTIONS"].pop("pool", None)
            self._connection = wrapper.get_new_connection(wrapper.get_connection_params())
            self._connection.autocommit = True
        return self._connection

    def _take_over(self, own: psycopg.Connection[Any]) -> None:
        """Sign the newest head anew if another key has: so it shows which one is at work now.

        ``EndedKey`` if nobody would believe this one any more.
        """
        locations.refuse_ended_key(self._seed)
        with own.transaction(), own.cursor() as cursor:
            head = own_head(cursor, self._location)
            if head.signature and not chain.is_signed_by(head, chain.public_key(self._seed)):
                sign_again(cursor, chain.sign(head, self._seed))

    def _lock(self, own: psycopg.Connection[Any]) -> bool:
        row = own.execute("SELECT pg_try_advisory_lock(%s)", [LOCK]).fetchone()
        is_ours = bool(row and row[0])
        if not is_ours and not self._has_said_so:
            log.info(STANDING_BY)
        self._has_said_so = not is_ours
        return is_ours
