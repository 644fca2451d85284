"""How this location stands to its peers: numbers, lag, digests, what only exists here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection

from events import contacts, digest
from events.genesis import genesis_version
from events.streams import Position, positions, stopped

EQUAL, CATCHING_UP, UNEQUAL, UNKNOWN = "equal", "catching up", "unequal", "unknown"
UNREACHABLE, LOCAL_ONLY = "unreachable", "local only"
# Two heartbeats may get lost.
SILENCE_SECONDS = 12.0

_COUNTS = """
SELECT (SELECT count(*) FROM events_deadletter),
       (SELECT count(*) FROM events_entityhead WHERE parked_reason IS NOT NULL),
       (SELECT count(*) FROM events_conflict WHERE resolved_by IS NULL)
"""

# Writes that the sequencer should have numbered long ago.
_UNNUMBERED = """
SELECT EXISTS (
    SELECT FROM events_outbox o JOIN events_event e ON e.tx = o.tx
    WHERE e.recorded_at < clock_timestamp() - interval '10 seconds'
)
"""

_DOCUMENTS = ("heads", "digest_heads", "capabilities")

# Own events without a number, and when the oldest that no peer has was recorded: the first beyond
# the acknowledged number, else the first without one.
_UNREPLICATED = """
WITH unnumbered AS (
    SELECT count(*) AS events, min(e.recorded_at) AS since
    FROM events_outbox o JOIN events_event e ON e.tx = o.tx
), next AS (
    SELECT e.recorded_at AS since FROM events_eventnumber n JOIN events_event e USING (event_id)
    WHERE n.origin = %(own)s AND n.epoch = %(epoch)s AND n.seq = %(acknowledged)s + 1
)
SELECT u.events, extract(epoch FROM clock_timestamp() - coalesce(next.since, u.since))::float8
FROM unnumbered u LEFT JOIN next ON true
"""

_CONTACTS = """
SELECT location, last_contact_at, last_error, heads, digest, digest_heads, clock_offset_ms,
       capabilities, extract(epoch FROM clock_timestamp() - last_contact_at)::float8 AS silence
FROM events_peercontact
"""


@dataclass(frozen=True, slots=True)
class _View:
    """What is known here, read once for all peers."""

    positions: Mapping[str, Position]
    digest: str
    digest_heads: Mapping[str, list[int]]
    stopped: Mapping[str, str]
    contacts: Mapping[str, Any]

    @property
    def own(self) -> Position:
        return self.positions[settings.LOCATION_ID]


def sync_status(*, is_fresh: bool = False) -> dict[str, Any]:
    """Return how this location stands, for the sync page and ``sync_status --json``.

    ``is_fresh`` takes the digest anew instead of the last one taken; it reads every row.
    """
    if is_fresh:
        contacts.note_digest(digest.take())
    view = _view()
    peers = [_peer(view, name) for name in sorted(settings.PEERS)]
    unreplicated, oldest = _unreplicated(view, peers)
    with connection.cursor() as cursor:
        cursor.execute(_COUNTS)
        dead_letters, parked, conflicts = cursor.fetchone()
    return {
        "location": settings.LOCATION_ID,
        "epoch": view.own.epoch,
        "seq": view.own.seq,
        "digest": view.digest,
        "unreplicated": unreplicated,
        "oldest_unreplicated_seconds": oldest,
        "dead_letters": dead_letters,
        "parked": parked,
        "conflicts": conflicts,
        "peers": peers,
    }


def summary() -> dict[str, Any]:
    """Return one word for every page's footer, and how many events it is about.

    ``label_events`` are those that wait to come here or to leave.
    """
    if not settings.PEERS:
        return {"state": LOCAL_ONLY, "label_events": 0, "lag_events": 0, "unreplicated": 0}
    view = _view()
    peers = [_peer(view, name) for name in sorted(settings.PEERS)]
    unreplicated, _ = _unreplicated(view, peers)
    lag = sum(peer["lag_events"] for peer in peers)
    return {
        "state": _worst(peers, bool(lag or unreplicated)),
        "label_events": lag + unreplicated,
        "lag_events": lag,
        "unreplicated": unreplicated,
    }


def degraded() -> list[str]:
    """Return what does not work as it should, for ``/readyz``; empty when all is well.

    It names no location: whoever asks need not be signed in.
    """
    with connection.cursor() as cursor:
        cursor.execute(_UNNUMBERED)
        [unnumbered] = cursor.fetchone()
        cursor.execute(_COUNTS)
        dead_letters, parked, _ = cursor.fetchone()
    view = _view()
    silent = sum(not _peer(view, name)["reachable"] for name in settings.PEERS)
    found = {
        "sequencer: writes wait for their numbers": unnumbered,
        f"peers out of reach: {silent}": silent,
        f"streams stopped: {len(view.stopped)}": view.stopped,
        f"dead letters: {dead_letters}": dead_letters,
        f"parked records: {parked}": parked,
    }
    return [sentence for sentence, is_so in found.items() if is_so]


def _worst(peers: Sequence[Mapping[str, Any]], is_moving: bool) -> str:
    states = {peer["state"] for peer in peers}
    if UNEQUAL in states:
        return UNEQUAL
    if not all(peer["reachable"] for peer in peers):
        return UNREACHABLE
    return CATCHING_UP if is_moving or CATCHING_UP in states else EQUAL


def _view() -> _View:
    with connection.cursor() as cursor:
        cursor.execute(_CONTACTS)
        names = [column.name for column in cursor.description]
        found = {row[0]: dict(zip(names, row, strict=True)) for row in cursor.fetchall()}
    for contact in found.values():
        contact.update({name: json.loads(contact[name]) for name in _DOCUMENTS})
    own = found.get(settings.LOCATION_ID, {})
    return _View(positions(), own.get("digest", ""), own.get("digest_heads", {}), stopped(), found)


def _peer(view: _View, name: str) -> dict[str, Any]:
    contact = view.contacts.get(name)
    applied = view.positions.get(name)
    applied_seq = applied.seq if applied else 0
    if contact is None or contact["last_contact_at"] is None:
        return _line(name, None, False, 0, applied_seq, 0, UNKNOWN)
    heads = contact["heads"]
    theirs = int(heads.get(name, {}).get("seq", 0))
    acknowledged = int(heads.get(settings.LOCATION_ID, {}).get("seq", 0))
    is_reachable = not contact["last_error"] and contact["silence"] < SILENCE_SECONDS
    state = UNEQUAL if name in view.stopped else _state(view, contact)
    if state != UNEQUAL and not is_reachable:
        state = UNREACHABLE  # what it last said is old
    return _line(name, contact, is_reachable, theirs, applied_seq, acknowledged, state)


def _line(
    name: str,
    contact: Mapping[str, Any] | None,
    is_reachable: bool,
    their_seq: int,
    applied_seq: int,
    acknowledged_seq: int,
    state: str,
) -> dict[str, Any]:
    at: datetime | None = contact["last_contact_at"] if contact else None
    return {
        "location": name,
        "reachable": is_reachable,
        "last_contact_at": at.isoformat() if at else None,
        "last_contact_seconds": round(contact["silence"], 1) if contact and at else None,
        "their_seq": their_seq,
        "applied_seq": applied_seq,
        "lag_events": max(their_seq - applied_seq, 0),
        "acknowledged_seq": acknowledged_seq,
        "digest": contact["digest"] if contact else "",
        "state": state,
        "clock_offset_ms": contact["clock_offset_ms"] if contact else None,
    }


def _state(view: _View, contact: Mapping[str, Any]) -> str:
    """Compare with one peer: streams by number and chain value, states by digest."""
    ours = {o: p.to_json() for o, p in view.positions.items() if p.seq}
    theirs = {o: dict(p) for o, p in contact["heads"].items() if p["seq"]}
    for origin in ours.keys() & theirs.keys():
        mine, his = ours[origin], theirs[origin]
        if (mine["epoch"], mine["seq"]) == (his["epoch"], his["seq"]) and mine != his:
            return UNEQUAL  # one number, two chain values
    if contact["digest_heads"] and contact["digest_heads"] == view.digest_heads:
        is_same = contact["digest"] == view.digest
        if not is_same and _speaks_the_same(contact):
            return UNEQUAL
        if is_same and ours == theirs:
            return EQUAL
    return UNKNOWN if ours == theirs else CATCHING_UP


def _speaks_the_same(contact: Mapping[str, Any]) -> bool:
    """Whether the peer has the same built-in entities: a release ahead it may have more."""
    return bool(contact["capabilities"].get("genesis") == genesis_version())


def _unreplicated(view: _View, peers: Sequence[Mapping[str, Any]]) -> tuple[int, float | None]:
    if not peers:
        return 0, None
    acknowledged = max(peer["acknowledged_seq"] for peer in peers)
    values = {
        "own": settings.LOCATION_ID,
        "epoch": view.own.epoch,
        "acknowledged": acknowledged,
    }
    with connection.cursor() as cursor:
        cursor.execute(_UNREPLICATED, values)
        unnumbered, oldest = cursor.fetchone()
    count = max(view.own.seq - acknowledged, 0) + unnumbered
    return count, None if oldest is None else round(oldest, 1)
