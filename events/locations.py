"""Which locations there are, where they answer, and which keys sign for them.

The registry is a kind of entity like any other: its events go to every location, and all end with
the same rows. What it does not say (yet) PEERS says, the seeds by which a location finds its first
peer; and of locations that neither names, the peers themselves (events.vouching).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from django.conf import settings

from events import chain, models, sql
from events.addresses import checked_url, is_name
from events.chain import Head
from events.envelope import Value
from events.errors import EndedKey
from events.fold import CLOSING_GROUPS, Row, RowKey, State
from events.location_keys import Key, keys_from_json, proven, signing
from events.registry import Kind, coded_uid
from events.streams import own_key
from events.versions import BOOLEAN, TEXT, Form

# Groups. Each key has one of its own, and so has its end: two that are entered apart both stay.
NAME, ADDRESS, RETIRED, KEY, END = "location", "address", "retired", "key_", "end_"

_ENDS: Form = {
    "description": "[[epoch, last number], ...] of what the key signed.",
    "type": ["array", "null"],
    "items": {"type": "array", "items": {"type": "integer", "minimum": 0}},
}

LOCATION_ADDED = "events.location_added"
LOCATION_CHANGED = "events.location_changed"
LOCATION_RETIRED = "events.location_retired"
KEY_ADDED = "events.location_key_added"
KEY_ENDED = "events.location_key_ended"


class _Everything(frozenset[str]):
    """Nothing of a location is personal, whatever its groups are called."""

    def __contains__(self, _: object) -> bool:
        return True


def location_rows(state: State, _: Collection[str] | None = None) -> Iterator[Row]:
    """Return the row of a location: what its events say, unchecked; readers check it."""
    name = _said(state, NAME)
    if not name:
        return
    keys = [
        {
            "key": fields.get("value"),
            "proof": fields.get("proof"),
            "until": _said(state, END + group.removeprefix(KEY)),
        }
        for group, fields in sorted(state.items())
        if group.startswith(KEY)
    ]
    yield Row(
        RowKey("location", ""),
        frozenset(state) - {*CLOSING_GROUPS},
        {
            "location": name,
            "url": _said(state, ADDRESS) or "",
            "public_keys": keys,
            "is_retired": bool(_said(state, RETIRED)),
        },
    )


def _said(state: State, group: str) -> Value:
    return state.get(group, {}).get("value")


LOCATION: Final = Kind(
    name="location",
    event_types=dict.fromkeys(
        (LOCATION_ADDED, LOCATION_CHANGED, LOCATION_RETIRED, KEY_ADDED, KEY_ENDED), 1
    ),
    tables={"location": models.Location},
    rows=location_rows,
    clear_groups=_Everything(),
    groups={
        NAME: {"value": TEXT},
        ADDRESS: {"value": TEXT},
        RETIRED: {"value": BOOLEAN},
        f"{KEY}*": {"value": TEXT, "proof": TEXT},
        f"{END}*": {"value": _ENDS},
    },
)


@dataclass(frozen=True, slots=True)
class KnownLocation:
    """What is known of a location; one that only PEERS names is not registered yet."""

    name: str
    url: str
    keys: tuple[Key, ...] = ()
    is_retired: bool = False
    is_registered: bool = True

    @property
    def present_keys(self) -> tuple[Key, ...]:
        """Those that have not ended."""
        return tuple(key for key in self.keys if key.until is None)


Signers = Mapping[str, tuple[Key, ...]]  # {location: its keys}
# {who says so: {"keys": {location: its keys as JSON}, "signed_by": with which key}}
Vouched = Mapping[str, Mapping[str, Any]]

# One statement: it is asked before signatures are checked.
_READ = """
SELECT (SELECT json_agg(json_build_array(entity_uid, location, url, public_keys, is_retired))
        FROM events_location WHERE valid_to IS NULL)::text,
       (SELECT json_object_agg(location, vouched)
        FROM events_peercontact WHERE vouched <> '{}')::text,
       EXISTS (SELECT FROM events_recovery)
"""


def uid_of(name: str) -> UUID:
    """Return the uid of a location's entity."""
    return coded_uid(settings.NETWORK_ID, LOCATION.name, name)


def registered() -> dict[str, KnownLocation]:
    """Return every location in the registry, retired ones too, by name; as that has it."""
    return _read()[0]


def known() -> dict[str, KnownLocation]:
    """Return every location that the registry or PEERS names, and this one, by name."""
    return _planted(registered())


def peers() -> dict[str, KnownLocation]:
    """Return the other locations that take part: whom to ask, to answer and to wait for."""
    return _peers(known())


def this_key() -> Key:
    """Return the public half of the key that this location signs with."""
    return Key(chain.public_key(own_key()))


def taking_part(registered: Mapping[str, bool]) -> list[str]:
    """Return the other locations that take part, given which of the registered are retired."""
    there = (settings.PEERS.keys() | registered.keys()) - {settings.LOCATION_ID}
    return sorted(name for name in there if not registered.get(name))


def is_entry(uid: UUID | str | None, name: str) -> bool:
    """Whether a row counts: nobody is entered twice, or by a name that no command would enter."""
    return is_name(name) and str(uid) == str(uid_of(name))


def names() -> list[str]:
    """Return the names of all locations, retired ones too, this one first."""
    here = settings.LOCATION_ID
    return [here, *sorted(known().keys() - {here})]


def signers() -> Signers:
    """Return the keys of each location of which any is known, those that have ended too."""
    there, vouched, is_recovering = _read()
    found = _planted(there)
    keys = {name: {key.value: key for key in each.keys} for name, each in found.items()}
    for sender in vouched.keys() & _peers(found).keys():
        for name, documents in _that_counts(found[sender], vouched[sender]).items():
            mine = keys.setdefault(name, {})
            new = [key for key in keys_from_json(documents) if key.value not in mine]
            if new and not _is_believed(sender, found.get(name), is_recovering=is_recovering):
                new = proven(name, mine.values(), new)
            mine |= {key.value: key for key in new}
    return {name: tuple(each.values()) for name, each in keys.items() if each}


def is_signed(head: Head, known_signers: Signers | None = None) -> bool:
    """Whether the location whose stream it is about signed the head, with a key while it held.

    Who checks many at once asks for ``signers`` once.
    """
    keys = signers() if known_signers is None else known_signers
    return any(key.has_signed(head) for key in keys.get(head.origin, ()))


def is_signed_by_present_key(head: Head, known_signers: Signers | None = None) -> bool:
    """Whether a key of its location that has not ended signed the head.

    Who stole one that has can still sign other chain values for its old numbers. So nothing that
    contradicts what is here counts with it. A location shows its newest head with a present key.
    """
    keys = signers() if known_signers is None else known_signers
    present = (key for key in keys.get(head.origin, ()) if key.until is None)
    return any(key.has_signed(head) for key in present)


def is_signature_of(location: str, signature: bytes, message: bytes) -> bool:
    """Whether a location signed a message with a key that has not ended."""
    return any(
        key.until is None and chain.is_signature(signature, message, key.value)
        for key in signers().get(location, ())
    )


def refuse_ended_key(seed: bytes) -> None:
    """Raise ``EndedKey`` if the registry says that this location's key signs no more."""
    value = chain.public_key(seed)
    own = known()[settings.LOCATION_ID]
    if any(key.value == value and key.until is not None for key in own.keys):
        raise EndedKey


def _that_counts(sender: KnownLocation, said: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a peer says of keys as long as the key that it signed that with is one of its.

    Whoever stole it may have said it; once the key has ended, nothing of that is left.
    """
    keys: Mapping[str, Any] = said.get("keys", {})
    offered = keys_from_json(keys.get(sender.name))
    signs = {key.text for key in signing(sender.name, sender.keys, offered)}
    return keys if said.get("signed_by") in signs else {}


def _is_believed(sender: str, about: KnownLocation | None, *, is_recovering: bool) -> bool:
    """Whether what a peer says of a location's keys needs no proof.

    It speaks for itself, and of whom nothing else is known here: a new location has only its word.
    So has one that was restored from before its own entry, of the keys it had later.
    """
    if about is None or about.name == sender:
        return True
    if about.name == settings.LOCATION_ID and not is_recovering:
        return False
    return not about.is_registered and about.name not in settings.PEERS


def _read() -> tuple[dict[str, KnownLocation], Vouched, bool]:
    [(rows, vouched, is_recovering)] = sql.execute(_READ).rows()
    found = {
        name: KnownLocation(name, _address(url), tuple(keys_from_json(keys)), is_retired)
        for uid, name, url, keys, is_retired in json.loads(rows or "[]")
        if is_entry(uid, name)
    }
    return found, json.loads(vouched or "{}"), is_recovering


def _address(url: str) -> str:
    """Return an address that may be asked; nothing for one that no command would enter."""
    try:
        return checked_url(url)
    except ValueError:
        return ""


def _planted(found: Mapping[str, KnownLocation]) -> dict[str, KnownLocation]:
    """Return the registry's locations with the seeds, and this one's own key."""
    planted = dict(found)
    for name, seed in settings.PEERS.items():
        _plant(planted, name, seed["url"], Key.from_text(seed["public_key"]))
    _plant(planted, settings.LOCATION_ID, "", this_key())
    return planted


def _plant(found: dict[str, KnownLocation], name: str, url: str, key: Key) -> None:
    """Add what is known beside the registry; what that says goes before."""
    there = found.get(name) or KnownLocation(name, "", is_registered=False)
    more = () if any(each.value == key.value for each in there.keys) else (key,)
    found[name] = replace(there, url=there.url or url, keys=(*there.keys, *more))


def _peers(found: Mapping[str, KnownLocation]) -> dict[str, KnownLocation]:
    takes_part = taking_part({name: each.is_retired for name, each in found.items()})
    return {name: found[name] for name in takes_part}
