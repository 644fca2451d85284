"""What this location says of itself, and what it makes of what others say."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import connection

from consumers import wire
from events import contacts, forks, streams, vouching
from events.contacts import Said
from events.genesis import genesis_version
from events.registry import event_types

PROTOCOL = 1


def positions() -> dict[str, Any]:
    """Return what is cheap enough to ask every second: positions, and signed heads.

    ``head`` is the newest of the own stream; ``forks`` are those for which streams stopped here.
    """
    with connection.cursor() as cursor:
        own = streams.own_head(cursor, settings.LOCATION_ID)
    return {
        "heads": _heads(),
        "head": own.to_json() if own.signature else None,
        "forks": [head.to_json() for head in forks.evidence()],
    }


def asking(now: int) -> dict[str, Any]:
    """Return this location's heartbeat as it is sent to a peer; ``now`` in µs.

    It is read before its sender is known for sure, so it is short: who wants to know heads and keys
    asks for them.
    """
    digest, digest_heads, _ = contacts.own_digest()
    return wire.said_to_json(Said(_heads(), digest, digest_heads, now, _capabilities()))


def answer(now: int) -> dict[str, Any]:
    """Return it as it is answered: with signed heads, and with what is known of all keys."""
    return {**asking(now), **positions(), "locations": vouching.statement(streams.own_key())}


def _heads() -> dict[str, Any]:
    return {origin: position.to_json() for origin, position in streams.positions().items()}


def _capabilities() -> dict[str, Any]:
    """Return what this release understands: peers send a new event version only when all do."""
    return {
        "protocol": PROTOCOL,
        "genesis": genesis_version(),
        "event_types": event_types(),
    }


def clock_offset_ms(sent: int, received: int, their_clock: int) -> int:
    """Return by how much a peer's clock is ahead of ours, if the way there took half the time."""
    return round((their_clock - (sent + received) / 2) / 1000)
