"""Entering locations in the registry and retiring them: an administrator's acts, kept as events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from django.conf import settings

from events import heads, items, locations
from events.addresses import checked_key, checked_name, checked_url, is_loopback
from events.drafting import Author, Draft
from events.envelope import Event, Fields
from events.errors import InvalidValue
from events.items import OPEN, Filter
from events.location_keys import Key, fingerprint
from events.locations import ADDRESS, KEY, NAME, RETIRED, KnownLocation
from events.models import PeerContact
from events.recorder import record
from events.registry import kinds
from events.vouching import MOST_LOCATIONS


def add(name: str, url: str, public_key: str, author: Author) -> list[Event]:
    """Enter a location, or change where it answers, or bring it back; return the events.

    With it come this location and those in PEERS, as far as the registry lacks them: whoever joins
    learns of all. No event if all of it is so already. ``InvalidValue`` names what cannot be.
    """
    wanted = _entry(_checked(name, url, public_key, locations.known()))
    return record([*_lacking(name, url), wanted], author)


def enter_this(author: Author) -> list[Event]:
    """Enter this location if the registry lacks it; where it answers, PEERS of others say."""
    here = locations.known()[settings.LOCATION_ID]
    return [] if here.is_registered else record([_entry(here)], author)


def retire(name: str, author: Author) -> list[Event]:
    """Let a location take part no more; no event if it is retired already.

    Its stream stays, and can be verified for ever. ``InvalidValue`` if there is none of that name.
    """
    found = locations.known().get(name)
    if found is None:
        raise InvalidValue("location", f"there is none called {name}")
    groups = {} if found.is_registered else _groups(found)
    gone = {**groups, RETIRED: {"value": True}}
    return record([draft(name, locations.LOCATION_RETIRED, gone)], author)


def draft(name: str, event_type: str, groups: Mapping[str, Fields]) -> Draft:
    """Return a change of a location; it settles what was entered apart about it."""
    uid = locations.uid_of(name)
    conflicts = items.outlines(Filter(OPEN, uid))
    return Draft(
        entity_uid=uid,
        type=event_type,
        set=groups,
        kind=locations.LOCATION,
        is_new=uid not in heads.read([uid]),
        resolves=[item_id for outline in conflicts for item_id in outline.open_ids],
    )


def _checked(
    name: str, url: str, public_key: str, known: Mapping[str, KnownLocation]
) -> KnownLocation:
    """Return a location as it is to be entered."""
    if name not in known and len(known) >= MOST_LOCATIONS:
        raise InvalidValue("location", f"there are {MOST_LOCATIONS}, and that is the most")
    here = known.get(name) or KnownLocation(name, "", is_registered=False)
    address, key = _well_formed(name, url, public_key)
    for other in known.values():
        if other.name != name and other.url == address:
            raise InvalidValue("url", f"is where {other.name} answers")
        if other.name != name and any(each.value == key.value for each in other.keys):
            raise InvalidValue("public-key", f"is one of {other.name}")
    there = next((each for each in here.keys if each.value == key.value), None)
    if there is not None and there.until is not None:
        raise InvalidValue("public-key", "has ended")
    if there is None and name == settings.LOCATION_ID:
        raise InvalidValue("public-key", "is not this location's: rotate-key changes that")
    return replace(here, url=address, keys=here.keys if there else (*here.keys, key))


def _well_formed(name: str, url: str, public_key: str) -> tuple[str, Key]:
    field = "location"
    try:
        checked_name(name)
        field = "url"
        address = checked_url(url)
        field = "public-key"
        return address, Key.from_text(checked_key(public_key))
    except ValueError as exc:
        raise InvalidValue(field, str(exc)) from exc


def _lacking(beside: str, url: str) -> Iterator[Draft]:
    """Yield what the registry does not say of who takes part: all, or where it answers."""
    registry = locations.registered()
    for name, each in locations.known().items():
        there = registry.get(name)
        if name == beside or (there and (there.url or there.is_retired)):
            continue
        reachable = _with_address(each, url)
        if there is None:
            yield _entry(reachable)
        else:
            address = {ADDRESS: {"value": reachable.url}}
            yield draft(name, locations.LOCATION_CHANGED, address)


def _with_address(each: KnownLocation, url_of_other: str) -> KnownLocation:
    if each.name != settings.LOCATION_ID or each.url:
        return each
    try:
        url = checked_url(settings.PUBLIC_URL)
    except ValueError:
        url = ""
    if not url or (is_loopback(url) and not is_loopback(url_of_other)):
        expected = f"enter {each.name} first: peers cannot reach it at {settings.PUBLIC_URL}"
        raise InvalidValue("location", expected)
    return replace(each, url=url)


def _entry(wanted: KnownLocation) -> Draft:
    is_change = wanted.is_registered and not wanted.is_retired
    event_type = locations.LOCATION_CHANGED if is_change else locations.LOCATION_ADDED
    return draft(wanted.name, event_type, {**_groups(wanted), RETIRED: {"value": False}})


def _groups(each: KnownLocation) -> dict[str, Fields]:
    """Return what the registry is to say of a location; how its keys ended it says already."""
    address = {ADDRESS: {"value": each.url}} if each.url else {}
    return {NAME: {"value": each.name}, **address, **key_groups(each.keys)}


def key_groups(keys: Iterable[Key]) -> dict[str, Fields]:
    """Return the groups that enter keys."""
    said = ((fingerprint(key.value), key.to_json()) for key in keys)
    return {KEY + name: {"value": key["key"], "proof": key["proof"]} for name, key in said}


def listed() -> list[dict[str, Any]]:
    """Return what is known of each location, for ``location list``."""
    contacts = {contact.location: contact for contact in PeerContact.objects.all()}
    return [_line(each, contacts.get(name)) for name, each in sorted(locations.known().items())]


def unsettled() -> list[str]:
    """Return the locations about which something was entered apart that cannot both be so."""
    found = {
        outline.entity_uid for outline in items.outlines(Filter(OPEN, kind=locations.LOCATION))
    }
    return [name for name in sorted(locations.known()) if locations.uid_of(name) in found]


def _line(each: KnownLocation, contact: PeerContact | None) -> dict[str, Any]:
    is_here = each.name == settings.LOCATION_ID
    heard = contact.last_contact_at if contact and not is_here else None
    unsettled = items.count(Filter(OPEN, locations.uid_of(each.name)))
    return {
        "location": each.name,
        "is_here": is_here,
        "url": each.url,
        "keys": [{"fingerprint": key.fingerprint, **key.to_json()} for key in each.keys],
        "is_registered": each.is_registered,
        "is_retired": each.is_retired,
        "last_contact_at": heard.isoformat() if heard else None,
        "fits": _fits(contact.capabilities) if contact and heard else None,
        "unsettled": unsettled,
    }


def _fits(capabilities: Mapping[str, Any]) -> bool:
    """Whether a location understands every event that this one can make."""
    theirs = capabilities.get("event_types", {})
    ours = (each for kind in kinds() for each in kind.event_types.items())
    return all(theirs.get(name, 0) >= version for name, version in ours)
