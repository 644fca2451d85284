"""The public keys of locations: up to where each signed, and which one vouches for the next. Pure.

A location that changes its key signs the new one with the old one: whoever knows the old one
believes the new one, from whomever it comes. The signature is over ``sins key`` and a line feed,
then the canonical JSON of ``{"key": base64, "location"}``.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from events import chain
from events.chain import Head
from events.envelope import canonical

MOST_KEYS: Final = 100  # of one location


@dataclass(frozen=True, slots=True)
class Key:
    """A public key (32 bytes).

    ``until`` is ``{epoch: last number}`` of what it signed, once it has ended; ``proof`` the
    signature of the key before it, empty for a location's first one.
    """

    value: bytes
    until: Mapping[int, int] | None = None
    proof: bytes = b""

    def has_signed(self, head: Head) -> bool:
        """Whether the head bears this key's signature, given before the key ended."""
        is_within = self.until is None or head.seq <= self.until.get(head.epoch, -1)
        return is_within and chain.is_signed_by(head, self.value)

    def has_proven(self, location: str, key: Key) -> bool:
        """Whether this key says that ``key`` is one of the same location."""
        return chain.is_signature(key.proof, _claim(location, key.value), self.value)

    @classmethod
    def from_text(cls, text: str) -> Key:
        """Return the key that stands in settings."""
        return cls(base64.b64decode(text))

    @property
    def text(self) -> str:
        """The key as it stands in settings."""
        return base64.b64encode(self.value).decode()

    @property
    def fingerprint(self) -> str:
        """A short name for the eye: 16 hex digits."""
        return fingerprint(self.value)

    def to_json(self) -> dict[str, Any]:
        """Return the form in rows and heartbeats."""
        return {
            "key": self.text,
            "proof": base64.b64encode(self.proof).decode() or None,
            "until": None if self.until is None else [list(pair) for pair in self.until.items()],
        }


def fingerprint(value: bytes) -> str:
    """Return the short name of a public key."""
    return sha256(value).hexdigest()[:16]


def proof(location: str, value: bytes, seed: bytes) -> bytes:
    """Return the present key's signature over a new public key of the same location."""
    return chain.signature_of(_claim(location, value), seed)


def keys_from_json(documents: Any) -> list[Key]:
    """Return the keys that ``Key.to_json`` wrote; what is none is left out."""
    if not isinstance(documents, list):
        return []
    found = [key for key in map(_key, documents) if key is not None]
    return sorted(found, key=lambda key: key.until is not None)[:MOST_KEYS]  # not those that sign


def proven(location: str, trusted: Iterable[Key], offered: Iterable[Key]) -> list[Key]:
    """Return the offered keys that a trusted one has signed, or one that it has.

    A trusted one that has ended proves nothing: whoever knows its end knows the one after it, and
    it may have ended because it was stolen.
    """
    believed, rest = [key for key in trusted if key.until is None], list(offered)
    found: list[Key] = []
    while new := [k for k in rest if any(known.has_proven(location, k) for known in believed)]:
        found += new
        believed, rest = new, [key for key in rest if key not in new]
    return found


def signing(location: str, trusted: Collection[Key], offered: Iterable[Key]) -> list[Key]:
    """Return the keys that sign for a location now: trusted ones, and offered ones with a proof."""
    known = (*trusted, *proven(location, trusted, offered))
    return [key for key in known if key.until is None]


def _claim(location: str, value: bytes) -> bytes:
    said = {"location": location, "key": base64.b64encode(value).decode()}
    return b"sins key\n" + canonical(said)


def _key(document: Any) -> Key | None:
    try:
        value = base64.b64decode(document["key"], validate=True)
        signature = base64.b64decode(document["proof"] or "", validate=True)
        until = document["until"]
        ends = None if until is None else {int(epoch): int(seq) for epoch, seq in until}
    except (KeyError, TypeError, ValueError, binascii.Error):
        return None
    return Key(value, ends, signature) if len(value) == 32 else None
