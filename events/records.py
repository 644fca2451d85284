"""How numbers and heads stand in a topic: CloudEvents 1.0, binary mode.

An event's record has ``raw`` as its value; beside the ``ce_`` attributes its headers hold what is
given after the commit (epoch, number, chain value) and what is no part of ``raw`` (ciphertext,
wrapped key). A head is a record of its own, of type ``sins.head``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from events.chain import Head, head_from_json
from events.envelope import canonical, cloudevent, from_raw
from events.errors import UndecodableEvent
from events.streams import Item

HEAD_TYPE = "sins.head"
DEAD_LETTER_TYPE = "sins.dead_letter"
EPOCH, SEQ, CHAIN, CT, KEY = "sins_epoch", "sins_seq", "sins_chain", "sins_ct", "sins_key"


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a topic; ``offset`` is where it was read, -1 for one to be sent."""

    key: bytes
    value: bytes
    headers: Mapping[str, bytes] = field(default_factory=dict)
    offset: int = -1


def topic_of(origin: str) -> str:
    """Return the topic of a location's stream."""
    return f"sins.events.{origin}"


def dead_letters_of(location: str) -> str:
    """Return the topic of a location's dead letters."""
    return f"sins.dead-letters.{location}"


def of_dead_letter(location: str, letter_id: int, said: Mapping[str, str | int | None]) -> Record:
    """Return the record that tells of a dead letter: never its bytes."""
    attributes = {
        "specversion": "1.0",
        "id": f"{location}:{letter_id}",
        "source": f"/sins/{location}",
        "type": DEAD_LETTER_TYPE,
        "datacontenttype": "application/json",
    }
    headers = {f"ce_{name}": value.encode() for name, value in attributes.items()}
    return Record(location.encode(), canonical(said), headers)


def of_item(item: Item, epoch: int) -> Record:
    """Return the record of one number."""
    try:
        event = from_raw(item.raw)
    except UndecodableEvent:
        attributes, key = {}, b""
    else:
        attributes, key = cloudevent(event), str(event.entity_uid).encode()
    headers = {
        **{f"ce_{name}": value.encode() for name, value in attributes.items()},
        EPOCH: b"%d" % epoch,
        SEQ: b"%d" % item.seq,
        CHAIN: item.chain.hex().encode(),
    }
    if item.ct is not None:
        headers[CT] = item.ct
    if item.wrapped is not None:
        headers[KEY] = item.wrapped
    return Record(key, item.raw, headers)


def of_head(head: Head) -> Record:
    """Return the record of a head."""
    attributes = {
        "specversion": "1.0",
        "id": f"{head.origin}:{head.epoch}:{head.seq}",
        "source": f"/sins/{head.origin}",
        "type": HEAD_TYPE,
        "datacontenttype": "application/json",
    }
    headers = {f"ce_{name}": value.encode() for name, value in attributes.items()}
    return Record(b"head", canonical(head.to_json()), headers)


def is_head(record: Record) -> bool:
    """Whether the record says it is a head."""
    return record.headers.get("ce_type") == HEAD_TYPE.encode()


def read_head(record: Record) -> Head:
    """Return the head a record holds; ``ValueError`` if it holds none. Verify it."""
    document = json.loads(record.value)
    return head_from_json(document if isinstance(document, dict) else {})


def read_item(record: Record) -> tuple[int, Item]:
    """Return ``(epoch, item)`` of a record; ``ValueError`` if its numbers cannot be read."""
    headers = record.headers
    try:
        epoch, seq = int(headers[EPOCH]), int(headers[SEQ])
        value = bytes.fromhex(headers[CHAIN].decode())
    except KeyError as exc:
        raise ValueError("a record without number") from exc
    if not 0 <= epoch < 2**31 or not 0 < seq < 2**63:
        raise ValueError("a number out of range")
    return epoch, Item(seq, record.value, value, headers.get(CT), headers.get(KEY))
