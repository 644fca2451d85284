"""What an upgrade does with records that waited for it."""

from __future__ import annotations

from dataclasses import replace

from django.db import transaction

from events import guard, heads, log, refold, sql
from events.registry import kind_of_type
from ops.chaos.simulation.location import Location

_PARKED = "SELECT entity_uid, kind FROM events_entityhead WHERE parked_reason IS NOT NULL"


def unpark(at: Location) -> int:
    """Fold the parked records of a location again; return how many."""
    parked = dict(at.rows(_PARKED))
    if not parked:
        return 0
    with at.on("observer"), transaction.atomic(durable=True), sql.pipelined():
        sql.execute(guard.SET_MARK)
        locked = heads.locked(heads.lock(parked))
        events = [event for found in log.load(parked).values() for event in found]
        known = {e.entity_uid: kind for e in events if (kind := kind_of_type(e.type))}
        free = {
            uid: replace(head, parked_reason=None, kind_name=known[uid].name)
            for uid, head in locked.items()
        }
        refold.refold(free, events)
    return len(parked)
