"""The JSON Schemas (2020-12) of what stands in the topics, made of the registry.

Members and groups that a schema does not name may come from a newer release: readers take no notice
of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from events.chain import Head
from events.envelope import MAX_INT, MAX_MICROS, schema_urn
from events.fold import DELETED, MERGED_INTO
from events.recorder import MAX_EVENTS
from events.records import DEAD_LETTER_TYPE, HEAD_TYPE
from events.registry import Kind
from events.versions import BOOLEAN, UID, Forms, forms_before

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TEXT: Schema = {"type": "string"}
UUID: Schema = {"type": "string", "format": "uuid"}
HASH: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
MICROS: Schema = {
    "type": "integer",
    "minimum": 0,
    "maximum": MAX_MICROS,
    "description": "Microseconds since 1970-01-01T00:00:00Z.",
}
_CLOSING: Forms = {DELETED: {"value": BOOLEAN}, MERGED_INTO: {"value": UID}}
_VALUE: Schema = {"type": ["string", "integer", "boolean", "null", "array", "object"]}


def versions_of(kinds: Iterable[Kind]) -> Iterator[tuple[Kind, str, int]]:
    """Yield each version of each event type that may be in a stream."""
    for kind in kinds:
        for event_type, newest in sorted(kind.event_types.items()):
            for version in range(1, newest + 1):
                yield kind, event_type, version


def name_of(event_type: str, version: int) -> str:
    """Return what a message and the file of its schema are called."""
    return f"{event_type}.v{version}"


def envelope_schema(kind: Kind, event_type: str, version: int) -> Schema:
    """Return the schema of an event's bytes: without any personal value, only the groups' names."""
    clear = {g: f for g, f in _forms(kind, version).items() if g in kind.clear_groups}
    return {
        "$schema": DIALECT,
        "$id": schema_urn(event_type, version),
        "title": f"{event_type}, version {version}",
        "type": "object",
        "properties": {
            **_identity(event_type, version),
            "set": {
                "description": "The groups that change; a group with personal values is empty.",
                "type": "object",
                **_groups(clear),
                "additionalProperties": {"type": "object", "maxProperties": 0},
            },
            "base": {
                "description": "The greatest stamps that the author knew: on each group it sets, "
                "on the closing groups, and on the group that changed last.",
                "type": "object",
                "additionalProperties": {"anyOf": [{"$ref": "#/$defs/stamp"}, {"type": "null"}]},
            },
            "voids": {"description": "Events withdrawn.", "type": "array", "items": UUID},
            "resolves": {"description": "Conflicts closed.", "type": "array", "items": HASH},
            "secret": _secret(),
        },
        "required": [
            "event_id", "origin", "entity_uid", "type", "schema_version", "subject_uid", "ts",
            "tx", "tx_index", "tx_size", "set", "base", "actor", "request_id",
        ],
        "$defs": {
            "stamp": {"type": "array", "prefixItems": [MICROS, TEXT, UUID], "minItems": 3,
                      "maxItems": 3}
        },
    }  # fmt: skip


def _identity(event_type: str, version: int) -> Schema:
    return {
        "event_id": UUID,
        "origin": {"description": "The location that made it.", **TEXT},
        "entity_uid": UUID,
        "type": {"const": event_type},
        "schema_version": {"const": version},
        "subject_uid": {"description": "Whose personal values it holds, if any.", **UID},
        "ts": MICROS,
        "effective": {**MICROS, "description": "When it took effect; absent: at `ts`."},
        "tx": UUID,
        "tx_index": {"type": "integer", "minimum": 0, "maximum": MAX_EVENTS - 1},
        "tx_size": {"type": "integer", "minimum": 1, "maximum": MAX_EVENTS},
        "actor": {"description": "The member who did it.", **UID},
        "request_id": TEXT,
    }


def _secret() -> Schema:
    names = {
        "kid": {"description": "The key's name: subject and origin.", **TEXT},
        "iv": {"type": "string", "pattern": "^[0-9a-f]{24}$"},
        "sha256": {"description": "Of the ciphertext.", **HASH},
    }
    return {"type": "object", "properties": names, "required": list(names)}


def values_schema(kind: Kind, event_type: str, version: int) -> Schema:
    """Return the schema of what the ciphertext of an event holds."""
    sealed = {g: f for g, f in _forms(kind, version).items() if g not in kind.clear_groups}
    return {
        "$schema": DIALECT,
        "$id": f"{schema_urn(event_type, version)}:values",
        "title": f"{event_type}, version {version}: personal values",
        "type": "object",
        "properties": {
            "set": {
                "type": "object",
                **_groups(sealed),
                "additionalProperties": {"type": "object", "additionalProperties": _VALUE},
            },
            "reason": {"type": ["string", "null"]},
        },
        "required": ["set", "reason"],
    }


def _forms(kind: Kind, version: int) -> Forms:
    return {**_CLOSING, **forms_before(kind.groups, kind.steps[version - 1 :])}


def _groups(forms: Forms) -> Schema:
    """Return the schemas of groups, by name or by how a name begins."""
    begun = {f"^{g[:-1]}": _group(fields) for g, fields in forms.items() if g.endswith("*")}
    named = {g: _group(fields) for g, fields in forms.items() if not g.endswith("*")}
    return {"properties": named, **({"patternProperties": begun} if begun else {})}


def _group(fields: Mapping[str, Any]) -> Schema:
    """Return the schema of a group: it is always whole."""
    return {"type": "object", "properties": dict(fields), "required": list(fields)}


def head_schema() -> Schema:
    """Return the schema of a signed head."""
    members: Schema = {
        "origin": TEXT,
        "epoch": {"type": "integer", "minimum": 1, "maximum": MAX_INT},
        "seq": {"type": "integer", "minimum": 0},
        "chain": {"description": "The chain value at `seq`.", **HASH},
        "signature": {
            "description": "Ed25519, over `sins head`, a line feed and the other members.",
            "type": "string",
            "pattern": "^[0-9a-f]{128}$",
        },
    }
    named = list(Head("", 0, 0, b"").to_json())
    return {
        "$schema": DIALECT,
        "$id": f"urn:{HEAD_TYPE.replace('.', ':')}",
        "title": "Signed head of a stream",
        "type": "object",
        "properties": {name: members[name] for name in named},
        "required": named,
    }


def dead_letter_schema() -> Schema:
    """Return the schema of what is told of a dead letter: where it stood and why, not its bytes."""
    number = {"type": ["integer", "null"], "minimum": 0}
    members: Schema = {
        "origin": TEXT,
        "epoch": number,
        "seq": number,
        "source": TEXT,
        "reason": TEXT,
        "size": {"description": "Bytes.", "type": "integer", "minimum": 0},
        "sha256": {"description": "Of the bytes.", **HASH},
        "received_at": MICROS,
    }
    return {
        "$schema": DIALECT,
        "$id": f"urn:{DEAD_LETTER_TYPE.replace('.', ':')}",
        "title": "What a location could not take for an event",
        "type": "object",
        "properties": members,
        "required": list(members),
    }
