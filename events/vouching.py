"""What a location says of all keys it knows, signed with its own.

A new location knows one peer. It cannot believe the streams of others before it knows their keys,
which stand in those streams; nor can one that was away while a key changed. So every heartbeat
carries what its sender knows, and who hears it believes what it cannot know better: see
``locations.signers``.
The signature is over ``sins keys`` and a line feed, then the canonical JSON of
``{"from", "keys": {location: keys}}``.
"""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings

from events import chain, locations
from events.addresses import checked_name
from events.envelope import canonical
from events.location_keys import keys_from_json, signing

MOST_LOCATIONS: Final = 1000


def statement(seed: bytes) -> dict[str, Any]:
    """Return what this location says: what it has from events and PEERS, nothing from hearsay."""
    said = {name: [key.to_json() for key in each.keys] for name, each in locations.known().items()}
    signature = chain.signature_of(_signed_bytes(settings.LOCATION_ID, said), seed)
    return {"keys": said, "signature": signature.hex()}


def heard(sender: str, document: Any) -> dict[str, Any]:
    """Return ``{"keys": {location: keys}, "signed_by": key}`` of what a peer says; else nothing.

    It may have changed its own key meanwhile: one that its former key signed will do. What it says
    counts as long as that key does: see ``locations.signers``.
    """
    try:
        message = _signed_bytes(sender, document["keys"])
        said = {
            checked_name(name): [key.to_json() for key in keys_from_json(keys)]
            for name, keys in document["keys"].items()
        }
        signature = bytes.fromhex(document["signature"])
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}  # an older release says nothing
    here = locations.known().get(sender)
    trusted = here.keys if here else ()
    for key in signing(sender, trusted, keys_from_json(said.get(sender))):
        if chain.is_signature(signature, message, key.value) and len(said) <= MOST_LOCATIONS:
            return {"keys": said, "signed_by": key.text}
    return {}


def _signed_bytes(sender: str, said: Any) -> bytes:
    return b"sins keys\n" + canonical({"from": sender, "keys": said})
