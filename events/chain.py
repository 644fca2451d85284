"""The hash chain over a stream, and its signed heads. Pure: no database, no settings.

Byte forms, the same at every location for ever:

- start: ``sha256(origin in UTF-8 ‖ epoch as 8 bytes, big-endian)``
- step: ``sha256(chain before ‖ sha256(raw))``
- head: ``sins head`` and a line feed, then the canonical JSON of ``{"chain": hex, "epoch",
  "origin", "seq"}``; signed with Ed25519 (RFC 8032).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from events.envelope import canonical


@dataclass(frozen=True, slots=True)
class Head:
    """What an origin says of its stream: up to number ``seq`` the chain value is ``chain``."""

    origin: str
    epoch: int
    seq: int
    chain: bytes
    signature: bytes = b""

    def to_json(self) -> dict[str, str | int]:
        """Return the form in which heads travel; hashes and signature in hex."""
        return {**self._said(), "signature": self.signature.hex()}

    def signed_bytes(self) -> bytes:
        """Return what the signature is over."""
        return b"sins head\n" + canonical(self._said())

    def _said(self) -> dict[str, str | int]:
        return {
            "origin": self.origin,
            "epoch": self.epoch,
            "seq": self.seq,
            "chain": self.chain.hex(),
        }


def head_from_json(document: Mapping[str, Any]) -> Head:
    """Return the head that ``Head.to_json`` wrote; ``ValueError`` if it holds none."""
    try:
        return Head(
            str(document["origin"]),
            _below(2**31, document["epoch"]),
            _below(2**63, document["seq"]),
            bytes.fromhex(document["chain"]),
            bytes.fromhex(document["signature"]),
        )
    except (KeyError, TypeError) as exc:
        raise ValueError("not a head") from exc


def _below(limit: int, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < limit:
        raise TypeError
    return value


def start(origin: str, epoch: int) -> bytes:
    """Return the chain value before the first number of a stream."""
    return sha256(origin.encode() + epoch.to_bytes(8, "big")).digest()


def step(before: bytes, raw: bytes) -> bytes:
    """Return the chain value after an event with these bytes."""
    return sha256(before + sha256(raw).digest()).digest()


def steps(before: bytes, raws: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the chain value after each of ``raws``."""
    for raw in raws:
        before = step(before, raw)
        yield before


def sign(head: Head, seed: bytes) -> Head:
    """Return ``head`` signed with the location's key (32 bytes)."""
    return replace(head, signature=signature_of(head.signed_bytes(), seed))


def signature_of(message: bytes, seed: bytes) -> bytes:
    """Return the signature over ``message`` with the location's key."""
    return Ed25519PrivateKey.from_private_bytes(seed).sign(message)


def is_signed_by(head: Head, public_key: bytes) -> bool:
    """Whether the signature is of the location with that public key (32 bytes)."""
    return is_signature(head.signature, head.signed_bytes(), public_key)


def is_signature(signature: bytes, message: bytes, public_key: bytes) -> bool:
    """Whether ``signature`` over ``message`` is of that public key."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def public_key(seed: bytes) -> bytes:
    """Return the public key of a location's key."""
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
