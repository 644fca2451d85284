"""Personal values are sealed: one ciphertext per event, one key per person and origin.

AES-256-GCM; the associated data is the event's raw bytes without their ``secret``, so a ciphertext
cannot be moved to another event. Keys are wrapped (RFC 3394) with the network's wrapping key.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import (
    InvalidUnwrap,
    aes_key_unwrap,
    aes_key_wrap,
)
from django.conf import settings

from events import sql
from events.envelope import (
    MALFORMED,
    Event,
    Secret,
    Value,
    canonical,
    decoded_values,
    from_raw,
    opened,
    to_raw,
)
from events.errors import MissingKey

Subject = tuple[UUID, str]  # (subject_uid, origin): no agreement between locations is needed


def kid(subject: Subject) -> str:
    """Return the name of a subject's key, as it stands in ``raw``."""
    return f"{subject[0]}:{subject[1]}"


def seal(event: Event, clear_groups: frozenset[str], key: bytes) -> tuple[bytes, bytes]:
    """Return ``(raw, ciphertext)`` of an event whose personal values are sealed with ``key``."""
    if event.subject_uid is None:
        raise ValueError("an event with personal values needs a subject")
    values = {group: dict(event.set[group]) for group in event.set if group not in clear_groups}
    plain = canonical({"set": values, "reason": event.reason})
    iv = os.urandom(12)
    ct = AESGCM(key).encrypt(iv, plain, to_raw(event, clear_groups))
    secret = Secret(
        kid((event.subject_uid, event.origin)), iv.hex(), hashlib.sha256(ct).hexdigest()
    )
    return to_raw(replace(event, secret=secret), clear_groups), ct


def open_event(raw: bytes, ct: bytes | None, wrapped: bytes | None) -> Event:
    """Return the event with all its values; ``MissingKey`` if they cannot be read here."""
    return opened_event(from_raw(raw), raw, ct, wrapped)


def opened_event(event: Event, raw: bytes, ct: bytes | None, wrapped: bytes | None) -> Event:
    """Return ``event``, decoded from ``raw``, with the values of its ciphertext."""
    if event.secret is None:
        return event
    if ct is None or wrapped is None:
        raise MissingKey
    secret = {
        "iv": event.secret.iv,
        "kid": event.secret.kid,
        "sha256": event.secret.sha256,
    }
    associated = raw.replace(b'"secret":' + canonical(secret) + b",", b"", 1)
    try:
        plain = AESGCM(unwrap(wrapped)).decrypt(bytes.fromhex(event.secret.iv), ct, associated)
        values = decoded_values(plain)
        return opened(event, values["set"], values["reason"])
    except (InvalidTag, InvalidUnwrap, *MALFORMED) as exc:
        raise MissingKey from exc


def wrap(key: bytes) -> bytes:
    """Return ``key`` as the locations of this network keep and send it."""
    return aes_key_wrap(_wrapping_key(), key)


def unwrap(wrapped: bytes) -> bytes:
    """Return the key that ``wrapped`` holds."""
    return aes_key_unwrap(_wrapping_key(), wrapped)


def stored_keys(subjects: Iterable[Subject]) -> sql.Answer:
    """Ask for the wrapped keys of ``subjects``; ``keys_for`` reads the answer."""
    wanted = sorted(set(subjects))
    return sql.execute(_STORED, [[uid for uid, _ in wanted], [origin for _, origin in wanted]])


def keys_for(subjects: Iterable[Subject], answer: sql.Answer) -> dict[Subject, bytes]:
    """Return the keys of ``subjects`` for writing, making those that are missing."""
    found = _wrapped(answer)
    missing = sorted(set(subjects) - found.keys())
    if missing:
        made = (wrap(os.urandom(32)) for _ in missing)
        store_wrapped(dict(zip(missing, made, strict=True)))
        found |= _wrapped(stored_keys(missing))  # another transaction may have been first
    return {subject: unwrap(wrapped) for subject, wrapped in found.items()}


def store_wrapped(keys: Mapping[Subject, bytes]) -> None:
    """Keep wrapped keys; one that is there already stays."""
    if keys:
        parameters = [
            [uid for uid, _ in keys],
            [origin for _, origin in keys],
            list(keys.values()),
        ]
        sql.execute(_STORE, parameters)


_STORED = """
SELECT subject_uid, origin, wrapped FROM events_subjectkey
JOIN unnest(%b::uuid[], %b::text[]) AS wanted (uid, loc) ON subject_uid = uid AND origin = loc
"""
_STORE = """
INSERT INTO events_subjectkey (subject_uid, origin, wrapped)
SELECT * FROM unnest(%b::uuid[], %b::text[], %b::bytea[]) ORDER BY 1, 2
ON CONFLICT DO NOTHING
"""


def _wrapped(answer: sql.Answer) -> dict[Subject, bytes]:
    return {(uid, origin): wrapped for uid, origin, wrapped in answer.rows()}


def seal_state(state: Value) -> bytes:
    """Return the present values of an entity, sealed for this network's heads."""
    iv = os.urandom(12)
    return iv + _state_cipher().encrypt(iv, canonical(state), None)


def open_state(sealed: bytes) -> Value:
    """Return what ``seal_state`` sealed; an empty head has an empty state."""
    if not sealed:
        return {}
    return json.loads(_state_cipher().decrypt(sealed[:12], sealed[12:], None))


def hashdiff(values: Value) -> bytes:
    """Return a 16-byte keyed hash of canonical values: equal values, equal hash, network-wide."""
    return hmac.digest(_derived_key(b"hashdiff"), canonical(values), "sha256")[:16]


@cache
def _wrapping_key() -> bytes:
    return base64.b64decode(settings.WRAPPING_KEY)


@cache
def _state_cipher() -> AESGCM:
    return AESGCM(_derived_key(b"head state"))


@cache
def _derived_key(purpose: bytes) -> bytes:
    secret = base64.b64decode(settings.NETWORK_SECRET)
    return hmac.digest(secret, b"sins " + purpose, "sha256")
