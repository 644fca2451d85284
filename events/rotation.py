"""Changing this location's key, without a moment in which its signature is not believed.

1. ``begin``: the new public key is announced, signed by the present one. From then on both count.
2. Once every peer knows it (``standing``), the new key is put into LOCATION_KEY.
3. ``finish``: up to where the old key signed is recorded. Heads beyond that, and requests, are
   refused from then on; what it signed before stays verifiable for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection

from events import chain, heads, locations, membership, streams
from events.drafting import Author
from events.envelope import Event
from events.errors import InvalidValue
from events.location_keys import MOST_KEYS, Key, proof
from events.locations import END, KEY, KEY_ADDED, KEY_ENDED
from events.models import EventNumber, PeerContact
from events.recorder import record


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a change is: the key in LOCATION_KEY, the newest announced one, all that count.

    ``waiting`` are the peers of which it is not known that they know the newest.
    """

    present: Key
    newest: Key
    counting: tuple[Key, ...]
    waiting: tuple[str, ...]

    @property
    def is_under_way(self) -> bool:
        """Whether a change was begun and is not finished."""
        return len(self.counting) > 1

    @property
    def is_in_place(self) -> bool:
        """Whether the newest key is the one that signs here."""
        return self.newest.value == self.present.value


def begin(seed: bytes, author: Author) -> Key:
    """Announce the public half of ``seed`` (32 bytes) as this location's next key; return it."""
    if standing().is_under_way:
        raise InvalidValue("key", "another one is announced already")
    if len(locations.known()[settings.LOCATION_ID].keys) >= MOST_KEYS:
        raise InvalidValue("key", f"this location has had {MOST_KEYS}, and that is the most")
    membership.enter_this(author)
    value = chain.public_key(seed)
    key = Key(value, proof=proof(settings.LOCATION_ID, value, streams.own_key()))
    groups = membership.key_groups([key])
    record([membership.draft(settings.LOCATION_ID, KEY_ADDED, groups)], author)
    return key


def standing() -> Standing:
    """Return how far a change of this location's key is."""
    here = locations.known()[settings.LOCATION_ID]
    announced = _announced()
    counting = here.present_keys
    own = locations.this_key()
    present = next((key for key in here.keys if key.value == own.value), own)
    named = [key for key in counting if key.fingerprint in announced]
    # A key that has proven another one is the older, also where it was entered anew later.
    own_name = settings.LOCATION_ID
    heirs = [key for key in named if not any(key.has_proven(own_name, each) for each in named)]
    newest = max(heirs or named, key=lambda key: announced[key.fingerprint], default=present)
    event_id = announced[newest.fingerprint].event_id if named else None
    return Standing(present, newest, counting, tuple(_not_knowing(event_id)))


def finish(author: Author) -> list[Event]:
    """Record that the other keys have ended, now that the newest signs; none if none is left.

    ``InvalidValue`` while it cannot be: a peer does not know the new key, or it does not sign yet.
    """
    found = standing()
    if not found.is_under_way:
        return []
    if not found.is_in_place:
        raise InvalidValue("LOCATION_KEY", f"is not the announced key {found.newest.fingerprint}")
    if found.waiting:
        raise InvalidValue("key", f"not known yet to {', '.join(found.waiting)}")
    with connection.cursor() as cursor:
        newest_head = streams.own_head(cursor, settings.LOCATION_ID)
    if not chain.is_signed_by(newest_head, found.present.value):
        raise InvalidValue("key", "does not sign yet: restart run_sequencer with it")
    said = streams.positions()[settings.LOCATION_ID].to_json()
    until = [list(pair) for pair in streams.epochs(said).items()]
    ended = [key for key in found.counting if key.value != found.present.value]
    groups = {END + key.fingerprint: {"value": until} for key in ended}
    return record([membership.draft(settings.LOCATION_ID, KEY_ENDED, groups)], author)


def _announced() -> Mapping[str, Any]:
    """Return the stamp with which each key was entered, by fingerprint."""
    uid = locations.uid_of(settings.LOCATION_ID)
    head = heads.read([uid]).get(uid)
    stamps = {} if head is None else head.memo.stamps
    return {g.removeprefix(KEY): stamp for g, stamp in stamps.items() if g.startswith(KEY)}


def _not_knowing(event_id: UUID | None) -> list[str]:
    """Return the peers that have not acknowledged an event, or cannot read it."""
    numbers = EventNumber.objects.filter(event_id=event_id).values_list("origin", "epoch", "seq")
    place = None if event_id is None else numbers.first()
    contacts = {contact.location: contact for contact in PeerContact.objects.all()}
    return [
        name
        for name in sorted(locations.peers())
        if place is None or not _knows(contacts.get(name), *place)
    ]


def _knows(contact: PeerContact | None, origin: str, epoch: int, seq: int) -> bool:
    if contact is None or KEY_ADDED not in contact.capabilities.get("event_types", {}):
        return False
    return streams.epochs(contact.heads.get(origin)).get(epoch, 0) >= seq
