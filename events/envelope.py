"""The event: a frozen past-tense fact, and its canonical bytes.

``raw`` is made once, at the origin, and never again: hashes, chains and signatures are over it.
It names every group the event set, but holds only values that are not personal; the personal
ones, and the reason, travel in one ciphertext beside it (see ``events.keys``).
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any
from uuid import UUID

from events.errors import UndecodableEvent
from events.stamp import Stamp, stamp_from_json, to_datetime
from events.tracing import traceparent_of

Value = Any  # str | int | bool | None | list[Value] | dict[str, Value]; never a float
Fields = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Secret:
    """What ``raw`` says of the ciphertext: the key's name, the nonce and the SHA-256, in hex."""

    kid: str
    iv: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Event:
    """One change of one entity. ``ts`` and ``effective`` are µs since 1970.

    ``set`` is ``{group: {field: value}}``, whole groups only. ``base`` is, for each of those
    groups and for the closing groups, the greatest stamp its author knew (``None``: never set);
    one more entry names the group that changed last, as far as its author knew. ``formerly`` says
    how older releases called a group, where they did; it is in no bytes.
    """

    event_id: UUID
    origin: str
    entity_uid: UUID
    type: str
    schema_version: int
    ts: int
    tx: UUID
    tx_index: int = 0
    tx_size: int = 1
    set: Mapping[str, Fields] = field(default_factory=dict)
    base: Mapping[str, Stamp | None] = field(default_factory=dict)
    effective: int | None = None
    subject_uid: UUID | None = None
    voids: tuple[UUID, ...] = ()
    resolves: tuple[str, ...] = ()
    actor: UUID | None = None
    reason: str | None = None
    request_id: str = ""
    secret: Secret | None = None
    formerly: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def stamp(self) -> Stamp:
        """The place of this event in the order of all events."""
        return Stamp(self.ts, self.origin, self.event_id)

    @property
    def effective_at(self) -> int:
        """When the change took effect, in µs; never later than ``ts``."""
        return self.ts if self.effective is None else min(self.effective, self.ts)


def normal(value: Value) -> Value:
    """Return ``value`` in canonical form: NFC text, decimals as text; ``TypeError`` for floats.

    Done at the origin only: a location that applies an event takes its bytes as they are.
    """
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, UUID | Decimal):
        return str(value)
    if isinstance(value, Mapping):
        return {normal(str(key)): normal(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [normal(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no canonical form")


_encode = json.JSONEncoder(
    ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
).encode


def canonical(value: Value) -> bytes:
    """Return sorted-key, compact UTF-8 JSON of a value that is already in canonical form."""
    return _encode(value).encode()


def to_raw(event: Event, clear_groups: frozenset[str] | None = None) -> bytes:
    """Return the canonical bytes of ``event``.

    ``clear_groups`` are the groups whose values are not personal; those of all others are left
    out. ``None`` keeps every value (an event without personal values).
    """
    return canonical(_document(event, clear_groups))


def _document(event: Event, clear_groups: frozenset[str] | None) -> dict[str, Value]:
    def shown(group: str) -> Fields:
        clear = clear_groups is None or group in clear_groups
        return dict(event.set[group]) if clear else {}

    document: dict[str, Value] = {
        "event_id": str(event.event_id),
        "origin": event.origin,
        "entity_uid": str(event.entity_uid),
        "type": event.type,
        "schema_version": event.schema_version,
        "subject_uid": None if event.subject_uid is None else str(event.subject_uid),
        "ts": event.ts,
        "tx": str(event.tx),
        "tx_index": event.tx_index,
        "tx_size": event.tx_size,
        "set": {group: shown(group) for group in event.set},
        "base": {
            group: None if stamp is None else stamp.to_json() for group, stamp in event.base.items()
        },
        "actor": None if event.actor is None else str(event.actor),
        "request_id": event.request_id,
    }
    if event.effective is not None:
        document["effective"] = event.effective
    if event.voids:
        document["voids"] = [str(target) for target in event.voids]
    if event.resolves:
        document["resolves"] = list(event.resolves)
    if event.secret is not None:
        document["secret"] = {
            "kid": event.secret.kid,
            "iv": event.secret.iv,
            "sha256": event.secret.sha256,
        }
    return document


# What tables can keep: PostgreSQL's integers, and instants of the years 1970 to 9998.
MAX_INT = 2**31 - 1
MAX_MICROS = 253_370_764_800_000_000  # a year is left for what is written upon it


# A NUL as JSON writes it, not a backslash that happens to be followed by the same letters.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


# What reading bytes of any content may raise.
MALFORMED = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


def _holds_nul(document: bytes) -> bool:
    return b"\\u0000" in document and _NUL.search(document) is not None


def decoded(raw: bytes) -> Any:
    """Return the document in canonical bytes; ``ValueError`` for bytes that no origin makes."""
    document = json.loads(raw, parse_float=_refused, parse_constant=_refused)
    if canonical(document) != raw or _holds_nul(raw):
        raise ValueError("not in canonical form")
    return document


def decoded_values(plain: bytes) -> Any:
    """Return what a ciphertext held; ``ValueError`` for values that no table can keep."""
    document = json.loads(plain, parse_float=_refused, parse_constant=_refused)
    if _holds_nul(plain):
        raise ValueError("holds a NUL")
    return document


def from_raw(raw: bytes) -> Event:
    """Return the event that ``raw`` holds; ``UndecodableEvent`` if it holds none."""
    try:
        return _event(decoded(raw))
    except MALFORMED as exc:
        raise UndecodableEvent from exc


def _event(doc: dict[str, Any]) -> Event:
    def uid(name: str) -> UUID | None:
        return None if doc[name] is None else UUID(doc[name])

    secret = doc.get("secret")
    return Event(
        event_id=UUID(doc["event_id"]),
        origin=_text(doc["origin"]),
        entity_uid=UUID(doc["entity_uid"]),
        type=_text(doc["type"]),
        schema_version=_integer(doc["schema_version"], MAX_INT),
        subject_uid=uid("subject_uid"),
        ts=_integer(doc["ts"], MAX_MICROS),
        effective=None if "effective" not in doc else _integer(doc["effective"], MAX_MICROS),
        tx=UUID(doc["tx"]),
        tx_index=_integer(doc["tx_index"], MAX_INT),
        tx_size=_integer(doc["tx_size"], MAX_INT),
        set={_text(group): _fields(fields) for group, fields in doc["set"].items()},
        base={group: stamp_from_json(stamp) for group, stamp in doc["base"].items()},
        voids=tuple(UUID(target) for target in doc.get("voids", ())),
        resolves=tuple(_text(item) for item in doc.get("resolves", ())),
        actor=uid("actor"),
        request_id=_text(doc["request_id"]),
        secret=None if secret is None else Secret(*map(_text, _parts(secret))),
    )


def _parts(secret: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    return secret["kid"], secret["iv"], secret["sha256"]


def _integer(value: object, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise TypeError
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _fields(value: object) -> Fields:
    if not isinstance(value, dict):
        raise TypeError
    return value


def _refused(number: str) -> None:
    raise ValueError(f"{number} is not an integer")


def opened(event: Event, values: Mapping[str, Fields], reason: str | None) -> Event:
    """Return ``event`` with the values of its ciphertext put back in their groups."""
    merged = {
        group: {**fields, **_fields(values.get(group, {}))} for group, fields in event.set.items()
    }
    return replace(event, set=merged, reason=None if reason is None else _text(reason))


def schema_urn(event_type: str, version: int) -> str:
    """Return the name of the schema of an event's bytes."""
    return f"urn:sins:{event_type}:{version}"


def cloudevent(event: Event) -> dict[str, str]:
    """Return the CloudEvents 1.0 attributes of ``event``, for the binary content mode."""
    return {
        "specversion": "1.0",
        "id": str(event.event_id),
        "source": f"/sins/{event.origin}",
        "type": event.type,
        "subject": str(event.entity_uid),
        "time": to_datetime(event.ts).isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "dataschema": schema_urn(event.type, event.schema_version),
        "partitionkey": str(event.entity_uid),
        "traceparent": traceparent_of(event.request_id, event.event_id),
    }
