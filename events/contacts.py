"""What peers last said, and what this location says of itself: one row each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.db.models.functions import Now

from events import locations, sql, stuck, vouching
from events.digest import Digest
from events.models import PeerContact


@dataclass(frozen=True, slots=True)
class Said:
    """A heartbeat: positions, digest, clock (µs), capabilities; every field checked.

    ``locations`` is what its sender says of all keys, unchecked (events.vouching); None where it
    only asks.
    """

    heads: Mapping[str, Mapping[str, Any]]  # {origin: {epoch, seq, chain}}
    digest: str
    digest_heads: Mapping[str, list[int]]
    clock: int
    capabilities: Mapping[str, Any] = field(default_factory=dict)
    locations: Any = None


def note(location: str, said: Said, offset_ms: int | None) -> None:
    """Keep what a peer said.

    ``offset_ms`` is how far its clock is ahead: measured when we asked, ``None`` when it called;
    that it can reach us does not say that we can reach it.
    """
    values: dict[str, Any] = {
        "last_contact_at": Now(),
        "heads": said.heads,
        "lacking": stuck.lacking(location, said.heads),
        "digest": said.digest,
        "digest_heads": said.digest_heads,
        "capabilities": said.capabilities,
    }
    if said.locations is not None:
        values["vouched"] = vouching.heard(location, said.locations)
    if offset_ms is not None:
        values |= {"clock_offset_ms": offset_ms, "last_error": ""}
    PeerContact.objects.update_or_create(location=location, defaults=values)


def note_heads(location: str, heads: Mapping[str, Mapping[str, Any]]) -> None:
    """Keep a peer's positions between two heartbeats."""
    PeerContact.objects.filter(location=location).update(
        last_contact_at=Now(), last_error="", heads=heads
    )


def note_failure(location: str, error: str) -> None:
    """Keep why a peer could not be reached: the name of an error, no text of a peer's."""
    PeerContact.objects.update_or_create(location=location, defaults={"last_error": error})


# Who the registry says takes part or does no more; and which version of each event type a location
# said it reads, whenever that was.
_ANNOUNCED = """
SELECT registered.entity_uid, location, registered.is_retired,
       contact.capabilities ->> 'event_types'
FROM (SELECT * FROM events_location WHERE valid_to IS NULL) registered
FULL JOIN events_peercontact contact USING (location)
"""


def announced() -> sql.Answer:
    """Ask what the other locations read; ``readers`` reads the answer."""
    return sql.execute(_ANNOUNCED, [])


def readers(answer: sql.Answer) -> Sequence[Mapping[str, int]]:
    """Return ``{event type: newest version}`` of each; of one never heard of nothing is known."""
    rows = list(answer.rows())
    said = {location: json.loads(types) for _, location, _, types in rows if types}
    taking_part = locations.taking_part(
        {name: is_retired for uid, name, is_retired, _ in rows if locations.is_entry(uid, name)}
    )
    return [said.get(location, {}) for location in taking_part]


def note_digest(digest: Digest) -> None:
    """Keep this location's own digest for pages and heartbeats; one that may not be compared
    names no positions."""
    heads = digest.heads if digest.is_settled else {}
    PeerContact.objects.update_or_create(
        location=settings.LOCATION_ID,
        defaults={
            "digest": digest.value,
            "digest_heads": heads,
            "digest_buckets": digest.buckets,
            "last_contact_at": Now(),
        },
    )


def own_heads_of(location: str) -> Mapping[str, Any] | None:
    """Return what a peer last said of its own stream; ``None`` if it has said nothing of it."""
    found = PeerContact.objects.filter(location=location).values_list("heads", flat=True).first()
    return None if found is None else found.get(location)


def own_digest() -> tuple[str, dict[str, list[int]], datetime | None]:
    """Return this location's last digest, its positions, and when it was taken."""
    found = _own().values_list("digest", "digest_heads", "last_contact_at").first()
    return ("", {}, None) if found is None else found


def own_buckets() -> tuple[dict[str, list[int]], bytes]:
    """Return the positions and the buckets of this location's last digest."""
    found = _own().values_list("digest_heads", "digest_buckets").first()
    return ({}, b"") if found is None else (found[0], bytes(found[1]))


def _own() -> QuerySet[PeerContact]:
    return PeerContact.objects.filter(location=settings.LOCATION_ID)
