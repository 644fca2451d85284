"""Built-in entities: events that every location makes for itself, the same to the byte."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from uuid import UUID, uuid5

from django.conf import settings

from events.envelope import Event, normal, to_raw
from events.fold import CLOSING_GROUPS
from events.log import Sealed
from events.recorder import Received, receive
from events.registry import Kind, coded_uid, kinds
from events.stamp import Stamp

ORIGIN = "genesis"


@cache
def genesis_version() -> str:
    """Return a hash of all that is built into this release: 16 hex digits."""
    raws = sorted(to_raw(event) for event in genesis_events(settings.NETWORK_ID))
    return sha256(b"".join(raws)).hexdigest()[:16]


def genesis_events(network: UUID) -> Iterator[Event]:
    """Yield the genesis events of all registered kinds; they are never numbered and never sent."""
    for kind in kinds():
        known: dict[tuple[str, str], Stamp] = {}  # a changed definition rests on the one before
        for entity in sorted(kind.genesis, key=lambda entity: entity.n):
            event_id = uuid5(network, f"{kind.name}:{entity.code}:{entity.n}")
            yield Event(
                event_id=event_id,
                origin=ORIGIN,
                entity_uid=coded_uid(network, kind.name, entity.code),
                type=kind.genesis_type,
                schema_version=entity.schema_version,
                ts=entity.n,
                tx=event_id,
                set=normal(entity.set),
                base={
                    **{group: known.get((entity.code, group)) for group in entity.set},
                    **dict.fromkeys(CLOSING_GROUPS),
                },
            )
            stamp = Stamp(entity.n, ORIGIN, event_id)
            known |= {(entity.code, group): stamp for group in entity.set}


def record_genesis(now: int) -> int:
    """Record the genesis events that are not here yet; return how many were new."""
    events = [Sealed(event, to_raw(event)) for event in genesis_events(settings.NETWORK_ID)]
    return len(receive(events, Received(now)))


def uid_of(kind: Kind, code: str) -> UUID:
    """Return the uid of the entity of ``kind`` with that code in this network."""
    return coded_uid(settings.NETWORK_ID, kind.name, code)
