"""After a restore: no writes until this location has its own later writes back from its peers.

A location restored from a backup knows fewer of its own numbers than its peers. Would it write, it
would give those numbers to other events. So it is read-only, pulls its own stream from every
peer, and then goes on in a new epoch, in which all numbers are free.
"""

from __future__ import annotations

from django.conf import settings
from django.db import connection, transaction

from events import chain
from events.chain import Head
from events.errors import Recovering
from events.streams import keep_head, own_head

# A writer asks with the mark it sets anyway (events.guard).
_IS_RECOVERING = "SELECT EXISTS (SELECT FROM events_recovery)"

# Every pass of the sequencer reads this table: one that has not seen the mark has ended then.
_STOP_NUMBERING = "LOCK TABLE events_outbox IN ACCESS EXCLUSIVE MODE"

BEGIN = "INSERT INTO events_recovery (id, began_at) VALUES (1, now()) ON CONFLICT DO NOTHING"

_FOLLOW = """
INSERT INTO events_received (origin, epoch, seq, chain, kafka_offset)
SELECT %(origin)s, %(epoch)s, coalesce(max(seq), 0),
       coalesce((array_agg(chain ORDER BY seq DESC))[1], %(start)s), 0
FROM events_eventnumber WHERE origin = %(origin)s AND epoch = %(epoch)s
ON CONFLICT DO NOTHING
"""

# What had no number yet when the backup was taken, but was numbered before the loss.
_FORGET_NUMBERED = """
DELETE FROM events_outbox o WHERE NOT EXISTS (
    SELECT FROM events_event e WHERE e.tx = o.tx AND NOT EXISTS (
        SELECT FROM events_eventnumber n WHERE n.event_id = e.event_id))
"""


def is_recovering() -> bool:
    """Whether this location takes no writes of its own."""
    with connection.cursor() as cursor:
        cursor.execute(_IS_RECOVERING)
        return bool(cursor.fetchone()[0])


def refuse() -> None:
    """Raise ``Recovering`` while this location takes no writes.

    For who would say without ``record()`` that all is so already: the opposite may not be back yet.
    """
    if is_recovering():
        raise Recovering


def begin() -> None:
    """Take no more writes of this location's own, and give them no more numbers."""
    if is_recovering():
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(BEGIN)
        cursor.execute(_STOP_NUMBERING)


def follow(epoch: int) -> None:
    """Let an epoch of the own stream be applied from peers, from where it ends here."""
    own = settings.LOCATION_ID
    with connection.cursor() as cursor:
        start = chain.start(own, epoch)
        cursor.execute(_FOLLOW, {"origin": own, "epoch": epoch, "start": start})


def finish(seed: bytes) -> bool:
    """Go on in a new epoch; return whether there was anything to finish.

    1. Let nobody else finish it too.
    2. Forget waiting writes that have come back with their numbers.
    3. Keep where this epoch ends, for peers that lack some of it; begin the next with a signed,
       empty head.
    4. Take writes again.
    """
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute("SELECT FROM events_recovery FOR UPDATE")  # 1
        if not cursor.rowcount:
            return False
        cursor.execute(_FORGET_NUMBERED)  # 2
        location = settings.LOCATION_ID
        ended = own_head(cursor, location).epoch  # 3
        follow(ended)
        epoch = ended + 1
        empty = Head(location, epoch, 0, chain.start(location, epoch))
        keep_head(cursor, chain.sign(empty, seed))
        cursor.execute("DELETE FROM events_recovery")  # 4
    return True
