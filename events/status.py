"""How this location stands to its peers: numbers, lag, digests, what only exists here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection

from events import contacts, digest, items, locations, stuck
from events.genesis import genesis_version
from events.own_writes import only_here
from events.recovery import is_recovering
from events.registry import event_types
from events.streams import Position, each_epoch, epochs, positions, stopped
from events.stuck import SILENCE_SECONDS, Lack

EQUAL, CATCHING_UP, UNEQUAL, UNKNOWN = "equal", "catching up", "unequal", "unknown"
UNREACHABLE, LOCAL_ONLY, RECOVERING, STUCK = "unreachable", "local only", "recovering", "stuck"

_COUNTS = """
SELECT (SELECT count(*) FROM events_deadletter),
       (SELECT count(*) FROM events_entityhead WHERE parked_reason IS NOT NULL)
"""

# Writes that the sequencer should have numbered long ago.
_UNNUMBERED = """
SELECT EXISTS (
    SELECT FROM events_outbox o JOIN events_event e ON e.tx = o.tx
    WHERE e.recorded_at < clock_timestamp() - interval '10 seconds'
)
"""

_DOCUMENTS = ("heads", "digest_heads", "capabilities", "lacking")

_CONTACTS = """
SELECT location, last_contact_at, last_error, heads, digest, digest_heads, clock_offset_ms,
       capabilities, extract(epoch FROM clock_timestamp() - last_contact_at)::float8 AS silence,
       lacking, extract(epoch FROM clock_timestamp())::float8 AS now
FROM events_peercontact
"""


@dataclass(frozen=True, slots=True)
class _View:
    """What is known here, read once for all peers."""

    positions: Mapping[str, Position]
    digest: str
    digest_heads: Mapping[str, list[int]]
    stopped: Mapping[str, int]
    contacts: Mapping[str, Any]
    peers: Sequence[str]
    stuck: Mapping[str, Sequence[Lack]]  # of what peers have that answer

    @property
    def own(self) -> Position:
        return self.positions[settings.LOCATION_ID]


def sync_status(*, is_fresh: bool = False) -> dict[str, Any]:
    """Return how this location stands, for the sync page and ``sync_status --json``.

    ``is_fresh`` takes the digest anew instead of the last one taken; it reads every row.
    """
    if is_fresh:
        contacts.note_digest(digest.take())
    view = _view(sorted(locations.peers()))
    found = _standing(view)
    now = max((contact["now"] for contact in view.contacts.values()), default=0.0)
    with connection.cursor() as cursor:
        cursor.execute(_COUNTS)
        dead_letters, parked = cursor.fetchone()
    conflicts = items.count(items.Filter(items.OPEN))
    return found | {
        "dead_letters": dead_letters,
        "parked": parked,
        "conflicts": conflicts,
        "stuck": stuck.listed(view.stuck, view.stopped, now),
    }


def summary() -> dict[str, Any]:
    """Return one word for every page's footer, and how many events it is about.

    ``label_events`` are those that wait to come here or to leave.
    """
    if not (peers := sorted(locations.peers())):
        return {"state": LOCAL_ONLY, "lag_events": 0, "unreplicated": 0, "label_events": 0}
    found = _standing(_view(peers))
    said = {name: found[name] for name in ("state", "lag_events", "unreplicated")}
    return said | {"label_events": said["lag_events"] + said["unreplicated"]}


def _standing(view: _View) -> dict[str, Any]:
    peers = [_peer(view, name) for name in view.peers]
    said = [view.contacts.get(name, {}).get("heads", {}) for name in view.peers]
    unreplicated, oldest, is_recovering = only_here(view.own, said)
    lag = sum(peer["lag_events"] for peer in peers)
    return {
        "location": settings.LOCATION_ID,
        "state": RECOVERING if is_recovering else _worst(peers, bool(lag or unreplicated)),
        "epoch": view.own.epoch,
        "is_recovering": is_recovering,
        "seq": view.own.seq,
        "digest": view.digest,
        "lag_events": lag,
        "unreplicated": unreplicated,
        "oldest_unreplicated_seconds": oldest,
        "peers": peers,
    }


def degraded() -> list[str]:
    """Return what does not work as it should, for ``/readyz``; empty when all is well.

    It names no location: whoever asks need not be signed in.
    """
    with connection.cursor() as cursor:
        cursor.execute(_UNNUMBERED)
        [unnumbered] = cursor.fetchone()
        cursor.execute(_COUNTS)
        dead_letters, parked = cursor.fetchone()
    view = _view(sorted(locations.peers()))
    silent = sum(not _peer(view, name)["reachable"] for name in view.peers)
    found = {
        "restored: no writes until its own are back": is_recovering(),
        "sequencer: writes wait for their numbers": unnumbered,
        f"peers out of reach: {silent}": silent,
        f"streams stopped: {len(view.stopped)}": view.stopped,
        f"peers whose streams do not arrive: {len(view.stuck)}": view.stuck,
        f"dead letters: {dead_letters}": dead_letters,
        f"parked records: {parked}": parked,
    }
    return [sentence for sentence, is_so in found.items() if is_so]


def differing_digests() -> dict[str, tuple[str, str]]:
    """Return ``{peer: (its digest, ours)}`` of those who answer and differ at equal positions."""
    view = _view(sorted(locations.peers()))
    known = ((name, view.contacts.get(name)) for name in view.peers)
    return {
        name: (contact["digest"], view.digest)
        for name, contact in known
        if contact and _is_reachable(contact) and _differs(view, contact)
    }


def _worst(peers: Sequence[Mapping[str, Any]], is_moving: bool) -> str:
    if not peers:
        return LOCAL_ONLY
    states = {peer["state"] for peer in peers}
    if UNEQUAL in states:
        return UNEQUAL
    if STUCK in states:
        return STUCK
    if not all(peer["reachable"] for peer in peers):
        return UNREACHABLE
    return CATCHING_UP if is_moving or CATCHING_UP in states else EQUAL


def _view(peers: Sequence[str]) -> _View:
    with connection.cursor() as cursor:
        cursor.execute(_CONTACTS)
        names = [column.name for column in cursor.description]
        found = {row[0]: dict(zip(names, row, strict=True)) for row in cursor.fetchall()}
    for contact in found.values():
        contact.update({name: json.loads(contact[name]) for name in _DOCUMENTS})
    own = found.get(settings.LOCATION_ID, {})
    known = positions()
    return _View(
        known,
        own.get("digest", ""),
        own.get("digest_heads", {}),
        stopped(),
        found,
        peers,
        _stuck({name: found[name] for name in peers if name in found}, known),
    )


def _stuck(
    said: Mapping[str, Mapping[str, Any]], known: Mapping[str, Position]
) -> dict[str, list[Lack]]:
    """Return what does not arrive of what each peer has; of none that is out of reach."""
    here = {
        (origin, epoch): seq
        for origin, position in known.items()
        for epoch, seq in epochs(position.to_json()).items()
    }
    found = {
        name: stuck.stuck([Lack(*each) for each in contact["lacking"]], here, contact["now"])
        for name, contact in said.items()
        if _is_reachable(contact)
    }
    return {name: lacks for name, lacks in found.items() if lacks}


def _peer(view: _View, name: str) -> dict[str, Any]:
    contact = view.contacts.get(name)
    applied = epochs(view.positions[name].to_json()) if name in view.positions else {}
    if contact is None or contact["last_contact_at"] is None:
        return _line(name, None, False, {}, applied, 0, UNKNOWN)
    heads = contact["heads"]
    theirs = epochs(heads.get(name))
    ours = epochs(heads.get(settings.LOCATION_ID))
    is_reachable = _is_reachable(contact)
    state = UNEQUAL if name in view.stopped else _state(view, contact)
    if state != UNEQUAL and not is_reachable:
        state = UNREACHABLE  # what it last said is old
    elif state != UNEQUAL and name in view.stuck:
        state = STUCK
    acknowledged = ours.get(view.own.epoch, 0)
    return _line(name, contact, is_reachable, theirs, applied, acknowledged, state)


def _is_reachable(contact: Mapping[str, Any]) -> bool:
    is_known = contact["last_contact_at"] is not None and not contact["last_error"]
    return bool(is_known and contact["silence"] < SILENCE_SECONDS)


def _line(
    name: str,
    contact: Mapping[str, Any] | None,
    is_reachable: bool,
    theirs: Mapping[int, int],
    applied: Mapping[int, int],
    acknowledged_seq: int,
    state: str,
) -> dict[str, Any]:
    at: datetime | None = contact["last_contact_at"] if contact else None
    return {
        "location": name,
        "reachable": is_reachable,
        "last_contact_at": at.isoformat() if at else None,
        "last_contact_seconds": round(contact["silence"], 1) if contact and at else None,
        "their_seq": sum(theirs.values()),
        "applied_seq": sum(applied.values()),
        "lag_events": sum(max(seq - applied.get(e, 0), 0) for e, seq in theirs.items()),
        "acknowledged_seq": acknowledged_seq,
        "digest": contact["digest"] if contact else "",
        "state": state,
        "clock_offset_ms": contact["clock_offset_ms"] if contact else None,
    }


def _state(view: _View, contact: Mapping[str, Any]) -> str:
    """Compare with one peer: streams by number and chain value, states by digest."""
    ours = _chains({origin: p.to_json() for origin, p in view.positions.items()})
    theirs = _chains(contact["heads"])
    if any(ours[number] != theirs[number] for number in ours.keys() & theirs.keys()):
        return UNEQUAL
    if _differs(view, contact):
        return UNEQUAL
    if ours == theirs and _is_compared(view, contact) and contact["digest"] == view.digest:
        return EQUAL
    return UNKNOWN if ours == theirs else CATCHING_UP


def _chains(heads: Mapping[str, Mapping[str, Any]]) -> dict[tuple[str, int, int], str]:
    """Return ``{(origin, epoch, seq): chain value}`` of positions.

    An epoch without numbers is left out: until its first one, nobody else hears of it.
    """
    return {
        (origin, one["epoch"], one["seq"]): one["chain"]
        for origin, said in heads.items()
        for one in each_epoch(said)
        if one["seq"]
    }


def _is_compared(view: _View, contact: Mapping[str, Any]) -> bool:
    """Whether both digests are of the same positions."""
    return bool(contact["digest_heads"]) and contact["digest_heads"] == view.digest_heads


def _differs(view: _View, contact: Mapping[str, Any]) -> bool:
    is_same = contact["digest"] == view.digest
    return _is_compared(view, contact) and not is_same and _speaks_the_same(contact)


def _speaks_the_same(contact: Mapping[str, Any]) -> bool:
    """Whether the peer's rows are to be the same: a release ahead it may make others."""
    said = contact["capabilities"]
    return bool(
        said.get("genesis") == genesis_version() and said.get("event_types") == event_types()
    )
