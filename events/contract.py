"""The event contract for programs that read the topics: AsyncAPI 3.0 and JSON Schema 2020-12.

All of it is made of the registry, so it says what this release reads and writes.
"""

from __future__ import annotations

from collections.abc import Iterable

from events.envelope import schema_urn
from events.kafka import PARTITION
from events.records import (
    CHAIN,
    CT,
    DEAD_LETTER_TYPE,
    EPOCH,
    HEAD_TYPE,
    KEY,
    SEQ,
    dead_letters_of,
    topic_of,
)
from events.registry import Kind
from events.schemas import (
    HASH,
    TEXT,
    UUID,
    Schema,
    dead_letter_schema,
    envelope_schema,
    head_schema,
    name_of,
    values_schema,
    versions_of,
)

SCHEMA_FORMAT = "application/schema+json;version=draft-2020-12"
ASYNCAPI, KAFKA_BINDING, CONTRACT = "3.0.0", "0.5.0", "1.0.0"
MAIN_FILE, HEAD_FILE = "asyncapi.json", f"{HEAD_TYPE}.json"
LETTER_FILE = f"{DEAD_LETTER_TYPE}.json"
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
        LETTER_FILE: dead_letter_schema(),
        **{
            f"{name_of(event_type, version)}{ending}.json": schema(kind, event_type, version)
            for kind, event_type, version in versions_of(said)
            for ending, schema in (("", envelope_schema), (".values", values_schema))
        },
    }


def asyncapi(kinds: Iterable[Kind]) -> Schema:
    """Return the AsyncAPI document of the topics."""
    in_stream = {"head": _head_message()} | {
        name_of(event_type, version): _event_message(event_type, version)
        for _, event_type, version in versions_of(kinds)
    }
    letters = {"deadLetter": _letter_message()}
    events, dead = {"$ref": "#/channels/events"}, {"$ref": "#/channels/deadLetters"}
    location = "{location}"
    return {
        "asyncapi": ASYNCAPI,
        "info": {"title": "SINS events", "version": CONTRACT, "description": _INFO},
        "defaultContentType": "application/json",
        "channels": {
            "events": _channel(topic_of(location), "The stream of one location", in_stream),
            "deadLetters": _channel(dead_letters_of(location), "Its dead letters", letters),
        },
        "operations": {
            "sendOwnEvents": {"action": "send", "channel": events},
            "receiveEvents": {"action": "receive", "channel": events},
            "tellDeadLetters": {"action": "send", "channel": dead},
        },
        "components": {"messages": in_stream | letters},
    }


def _channel(topic: str, title: str, messages: Iterable[str]) -> Schema:
    return {
        "address": topic,
        "title": title,
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
        "bindings": _key(UUID),
    }


def event_headers(event_type: str, version: int) -> Schema:
    """Return the schemas of an event's headers: CloudEvents 1.0 and what is given after commit."""
    return {
        **_cloudevent(UUID, event_type),
        "ce_subject": {"description": "The entity's uid.", **UUID},
        "ce_time": {"type": "string", "format": "date-time"},
        "ce_dataschema": {"const": schema_urn(event_type, version)},
        "ce_partitionkey": UUID,
        "ce_traceparent": TEXT,
        EPOCH: {"description": "Decimal digits.", **TEXT},
        SEQ: {"description": "The event's number in its stream; decimal digits.", **TEXT},
        CHAIN: {"description": "The chain value at this number.", **HASH},
        CT: {"type": "string", "format": "binary", "description": "Octets: the ciphertext."},
        KEY: {"type": "string", "format": "binary", "description": "Octets: its wrapped key."},
    }


def _head_message() -> Schema:
    return {
        "name": HEAD_TYPE,
        "title": "Signed head: up to its number all has been sent",
        "headers": _headers(_cloudevent(TEXT, HEAD_TYPE)),
        "payload": _payload(HEAD_FILE),
        "bindings": _key({"const": "head"}),
    }


def _letter_message() -> Schema:
    return {
        "name": DEAD_LETTER_TYPE,
        "title": "Bytes that this location could not take for an event",
        "headers": _headers(_cloudevent(TEXT, DEAD_LETTER_TYPE)),
        "payload": _payload(LETTER_FILE),
        "bindings": _key({"description": "The location's id.", **TEXT}),
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
