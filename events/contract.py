"""The event contract for programs that read the topics: AsyncAPI 3.0 and JSON Schema 2020-12.

All of it is made of the registry, so it says what this release reads and writes. Members and groups
that a schema does not name may come from a newer release: readers take no notice of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from events.chain import Head
from events.envelope import MAX_INT, MAX_MICROS, schema_urn
from events.fold import DELETED, MERGED_INTO
from events.kafka import PARTITION
from events.recorder import MAX_EVENTS
from events.records import CHAIN, CT, EPOCH, HEAD_TYPE, KEY, SEQ, topic_of
from events.registry import Kind
from events.versions import BOOLEAN, UID, Forms, forms_before

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SCHEMA_FORMAT = "application/schema+json;version=draft-2020-12"
ASYNCAPI, KAFKA_BINDING, CONTRACT = "3.0.0", "0.5.0", "1.0.0"
MAIN_FILE, HEAD_FILE = "asyncapi.json", f"{HEAD_TYPE}.json"

_TEXT: Schema = {"type": "string"}
_UUID: Schema = {"type": "string", "format": "uuid"}
_HASH: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_MICROS: Schema = {
    "type": "integer",
    "minimum": 0,
    "maximum": MAX_MICROS,
    "description": "Microseconds since 1970-01-01T00:00:00Z.",
}
_CLOSING: Forms = {DELETED: {"value": BOOLEAN}, MERGED_INTO: {"value": UID}}
_VALUE: Schema = {"type": ["string", "integer", "boolean", "null", "array", "object"]}
_INFO = """\
Every location sends its own events to its own topic, in the order of their numbers (`sins_seq`),
and ends each pass with a signed head. What Kafka loses is pulled from the locations, so a topic is
no archive. The value of a record is the event's canonical bytes; the chain is over them. Personal
values are in the header `sins_ct` alone, AES-256-GCM under the key in `sins_key`, which only
locations of the network can unwrap; the `.values` schemas say what it holds."""


def files(kinds: Iterable[Kind]) -> dict[str, Schema]:
    """Return the documents of the contract by the name of their file."""
    said = list(kinds)
    return {
        MAIN_FILE: asyncapi(said),
        HEAD_FILE: head_schema(),
        **{
            f"{name_of(event_type, version)}{ending}.json": schema(kind, event_type, version)
            for kind, event_type, version in versions_of(said)
            for ending, schema in (("", envelope_schema), (".values", values_schema))
        },
    }


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
            "voids": {"description": "Events withdrawn.", "type": "array", "items": _UUID},
            "resolves": {"description": "Conflicts closed.", "type": "array", "items": _HASH},
            "secret": _secret(),
        },
        "required": [
            "event_id", "origin", "entity_uid", "type", "schema_version", "subject_uid", "ts",
            "tx", "tx_index", "tx_size", "set", "base", "actor", "request_id",
        ],
        "$defs": {
            "stamp": {"type": "array", "prefixItems": [_MICROS, _TEXT, _UUID], "minItems": 3,
                      "maxItems": 3}
        },
    }  # fmt: skip


def _identity(event_type: str, version: int) -> Schema:
    return {
        "event_id": _UUID,
        "origin": {"description": "The location that made it.", **_TEXT},
        "entity_uid": _UUID,
        "type": {"const": event_type},
        "schema_version": {"const": version},
        "subject_uid": {"description": "Whose personal values it holds, if any.", **UID},
        "ts": _MICROS,
        "effective": {**_MICROS, "description": "When it took effect; absent: at `ts`."},
        "tx": _UUID,
        "tx_index": {"type": "integer", "minimum": 0, "maximum": MAX_EVENTS - 1},
        "tx_size": {"type": "integer", "minimum": 1, "maximum": MAX_EVENTS},
        "actor": {"description": "The member who did it.", **UID},
        "request_id": _TEXT,
    }


def _secret() -> Schema:
    names = {
        "kid": {"description": "The key's name: subject and origin.", **_TEXT},
        "iv": {"type": "string", "pattern": "^[0-9a-f]{24}$"},
        "sha256": {"description": "Of the ciphertext.", **_HASH},
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
        "origin": _TEXT,
        "epoch": {"type": "integer", "minimum": 1, "maximum": MAX_INT},
        "seq": {"type": "integer", "minimum": 0},
        "chain": {"description": "The chain value at `seq`.", **_HASH},
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


def asyncapi(kinds: Iterable[Kind]) -> Schema:
    """Return the AsyncAPI document of the topics."""
    messages = {"head": _head_message()} | {
        name_of(event_type, version): _event_message(event_type, version)
        for _, event_type, version in versions_of(kinds)
    }
    channel = {"$ref": "#/channels/events"}
    return {
        "asyncapi": ASYNCAPI,
        "info": {"title": "SINS events", "version": CONTRACT, "description": _INFO},
        "defaultContentType": "application/json",
        "channels": {"events": _channel(messages)},
        "operations": {
            "sendOwnEvents": {"action": "send", "channel": channel},
            "receiveEvents": {"action": "receive", "channel": channel},
        },
        "components": {"messages": messages},
    }


def _channel(messages: Iterable[str]) -> Schema:
    topic = topic_of("{location}")
    return {
        "address": topic,
        "title": "The stream of one location",
        "parameters": {"location": {"description": "The location's id, such as `loc1`."}},
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {
            "kafka": {
                "topic": topic,
                "partitions": PARTITION + 1,
                "topicConfiguration": {"cleanup.policy": ["delete"]},
                "bindingVersion": KAFKA_BINDING,
            }
        },
    }


def _event_message(event_type: str, version: int) -> Schema:
    return {
        "name": event_type,
        "title": f"{event_type}, version {version}",
        "headers": _headers(event_headers(event_type, version), optional={CT, KEY}),
        "payload": _payload(f"{name_of(event_type, version)}.json"),
        "bindings": _key(_UUID),
    }


def event_headers(event_type: str, version: int) -> Schema:
    """Return the schemas of an event's headers: CloudEvents 1.0 and what is given after commit."""
    return {
        **_cloudevent(_UUID, event_type),
        "ce_subject": {"description": "The entity's uid.", **_UUID},
        "ce_time": {"type": "string", "format": "date-time"},
        "ce_dataschema": {"const": schema_urn(event_type, version)},
        "ce_partitionkey": _UUID,
        "ce_traceparent": _TEXT,
        EPOCH: {"description": "Decimal digits.", **_TEXT},
        SEQ: {"description": "The event's number in its stream; decimal digits.", **_TEXT},
        CHAIN: {"description": "The chain value at this number.", **_HASH},
        CT: {"type": "string", "format": "binary", "description": "Octets: the ciphertext."},
        KEY: {"type": "string", "format": "binary", "description": "Octets: its wrapped key."},
    }


def _head_message() -> Schema:
    return {
        "name": HEAD_TYPE,
        "title": "Signed head: up to its number all has been sent",
        "headers": _headers(_cloudevent(_TEXT, HEAD_TYPE)),
        "payload": _payload(HEAD_FILE),
        "bindings": _key({"const": "head"}),
    }


def _cloudevent(ce_id: Schema, ce_type: str) -> Schema:
    return {
        "ce_specversion": {"const": "1.0"},
        "ce_id": ce_id,
        "ce_source": {"type": "string", "pattern": "^/sins/"},
        "ce_type": {"const": ce_type},
        "ce_datacontenttype": {"const": "application/json"},
    }


def _headers(headers: Schema, optional: Iterable[str] = ()) -> Schema:
    needed = [name for name in headers if name not in optional]
    return {"type": "object", "properties": headers, "required": needed}


def _payload(file: str) -> Schema:
    return {"schemaFormat": SCHEMA_FORMAT, "schema": {"$ref": f"./{file}"}}


def _key(key: Schema) -> Schema:
    return {"kafka": {"key": key, "bindingVersion": KAFKA_BINDING}}
