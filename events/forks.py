"""Forked streams: numbers that their origin gave to two events, and which of them stays.

Only a location that writes before it notices that it was restored does that; then two branches of
one epoch bear its signature. Numbers stand outside an event's bytes, so no event is lost: the
origin begins another epoch, and the events of the branch that is given up get new numbers there.
Which one that is follows from the branches alone, so that all locations come to the same whatever
they hear first: the longer stays, of two as long the one with the greater chain value.

Whoever stops a forked stream tells its origin the head that contradicts what is there: the origin
may have lost what it signed, and no location may hold it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from django.conf import settings

from events import sql
from events.chain import Head, head_from_json
from events.envelope import canonical
from events.errors import WrongCursor
from events.recorder import recording
from events.recovery import is_recovering
from events.streams import Item, Position, chain_at, chains_between, has_begun_after, stop

_STEP_BACK = """
UPDATE events_received SET seq = %(after)s, chain = %(chain)s, stopped_reason = NULL
WHERE origin = %(origin)s AND epoch = %(epoch)s AND seq = %(here)s RETURNING seq
"""

_FORGET = "SELECT count(*) FROM sins_forget_numbers(%(origin)s, %(epoch)s, %(after)s)"

_NUMBER_ANEW = """
INSERT INTO events_outbox (tx)
SELECT e.tx FROM sins_forget_numbers(%(origin)s, %(epoch)s, %(after)s)
       WITH ORDINALITY AS given_up (event_id, place) JOIN events_event e USING (event_id)
WHERE NOT EXISTS (SELECT FROM events_outbox o WHERE o.tx = e.tx)
GROUP BY e.tx ORDER BY min(place)
"""

_SEND_AGAIN = """
UPDATE events_published SET seq = %(after)s WHERE epoch = %(epoch)s AND seq > %(after)s
"""


# The heads for which streams stopped here whose origins have not begun another epoch.
_EVIDENCE = """
SELECT r.stopped_reason FROM events_received r
WHERE starts_with(r.stopped_reason, '{') AND NOT EXISTS (
    SELECT FROM events_streamhead h WHERE h.origin = r.origin AND h.epoch > r.epoch)
"""


def stop_at(head: Head) -> None:
    """Apply nothing more of a stream of which this signed head contradicts what is here."""
    stop(head.origin, head.epoch, canonical(head.to_json()).decode())


def evidence() -> list[Head]:
    """Return the signed heads for which streams are stopped here, for their origins to see."""
    return [head_from_json(json.loads(text)) for (text,) in sql.execute(_EVIDENCE).rows()]


def last_common(origin: str, epoch: int, items: Sequence[Item]) -> int | None:
    """Return the last number that ``items`` and this location share; None if all here agree.

    ``items`` have their chain values, and follow each other from a number that is shared.
    """
    here = chains_between(origin, epoch, items[0].seq, items[-1].seq)
    for item in items:
        if item.seq in here and here[item.seq] != item.chain:
            return item.seq - 1
    return None


def is_decided(origin: str, epoch: int) -> bool:
    """Whether a branch of the epoch may be given up: its origin has begun another, or is about to.

    Until then a fork is a matter for a person: two locations may run under one name.
    """
    is_own = origin == settings.LOCATION_ID
    return has_begun_after(origin, epoch) or (is_own and is_recovering())


def stays(theirs: Head, ours: Position) -> bool:
    """Whether a branch that ends at ``theirs`` takes the place of the one that is here."""
    return (theirs.seq, theirs.chain) > (ours.seq, ours.chain)


def give_up(origin: str, ours: Position, after: int) -> None:
    """Take back the numbers of the branch that is here, those beyond ``after``.

    The events stay. Those of this location's own go back to the sequencer, in their order.
    ``WrongCursor`` if another process has applied meanwhile.
    """
    before = chain_at(origin, ours.epoch, after)
    place = {
        "origin": origin,
        "epoch": ours.epoch,
        "here": ours.seq,
        "after": after,
        "chain": before,
    }
    is_own = origin == settings.LOCATION_ID
    with recording():
        if not sql.execute(_STEP_BACK, place).rows():
            raise WrongCursor
        sql.execute(_NUMBER_ANEW if is_own else _FORGET, place)
        if is_own:
            sql.execute(_SEND_AGAIN, place)
