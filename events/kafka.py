"""The only module that knows Kafka. It is an accelerator: what it loses is pulled.

No consumer groups, no auto-commit, no transactions: offsets are kept in the database beside what
was applied, and duplicates are free.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from django.conf import settings

from events.records import Record

PARTITION = 0
SLICE_SECONDS = 0.05
DELIVERY_MS = 10_000

_COMMON = {
    "client.id": "sins",
    "log_level": 2,
    "reconnect.backoff.ms": 50,
    "reconnect.backoff.max.ms": 1000,
    # A topic that is not there yet is looked for again soon.
    "topic.metadata.refresh.interval.ms": 2000,
}


def _connection(bootstrap: str) -> dict[str, Any]:
    """Return how to reach the brokers: TLS and who one is come from KAFKA_SECURITY."""
    return {**_COMMON, "bootstrap.servers": bootstrap, **settings.KAFKA_SECURITY}


class Undelivered(Exception):
    """Kafka did not take all of the records."""


class Sender:
    """An idempotent producer; after an error it is of no more use: close it, open another."""

    def __init__(self, bootstrap: str) -> None:
        self._producer = Producer(
            {
                **_connection(bootstrap),
                "acks": "all",
                "enable.idempotence": True,
                "linger.ms": 2,
                "delivery.timeout.ms": DELIVERY_MS,
                "error_cb": lambda _: None,  # what matters comes back with each record
            }
        )

    def send(self, topic: str, records: Sequence[Record], stop: threading.Event) -> int:
        """Send records in order; return how many from the first on were acknowledged.

        Fewer than all means an error, or that ``stop`` was set meanwhile.
        """
        is_acked = [False] * len(records)
        failed = threading.Event()
        for index, record in enumerate(records):
            self._produce(topic, record, _Report(index, is_acked, failed))
        deadline = time.monotonic() + DELIVERY_MS / 1000 + 5
        while self._producer.flush(SLICE_SECONDS) and not failed.is_set() and not stop.is_set():
            if time.monotonic() > deadline:
                break
        return is_acked.index(False) if False in is_acked else len(records)

    def close(self) -> None:
        """Drop what is not delivered; whoever sent it sends it again."""
        self._producer.purge()
        self._producer.flush(SLICE_SECONDS)

    def _produce(self, topic: str, record: Record, report: _Report) -> None:
        while True:
            try:
                self._producer.produce(
                    topic,
                    value=record.value,
                    key=record.key,
                    partition=PARTITION,
                    headers=list(record.headers.items()),
                    on_delivery=report,
                )
            except BufferError:  # the local queue is full
                self._producer.poll(SLICE_SECONDS)
            except KafkaException as exc:
                raise Undelivered from exc
            else:
                return


class _Report:
    """Notes what became of one record."""

    def __init__(self, index: int, is_acked: list[bool], failed: threading.Event) -> None:
        self._index, self._is_acked, self._failed = index, is_acked, failed

    def __call__(self, error: KafkaError | None, _: Message) -> None:
        if error is None:
            self._is_acked[self._index] = True
        else:
            self._failed.set()


class Reader:
    """Reads topics on from given offsets.

    Where an offset is no longer there (retention, another Kafka), it goes on from the oldest
    record: the numbers show what is missing.
    """

    def __init__(self, bootstrap: str, offsets: Mapping[str, int]) -> None:
        self.is_connected = True
        self._consumer = Consumer(
            {
                **_connection(bootstrap),
                "group.id": "sins-unused",  # the library wants one; nothing is committed to it
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 50,
                "fetch.error.backoff.ms": 100,
                "queued.max.messages.kbytes": 16_384,
                "error_cb": self._note,
            }
        )
        self._consumer.assign(
            [TopicPartition(topic, PARTITION, offset) for topic, offset in offsets.items()]
        )

    def read(self, most: int, timeout: float) -> list[tuple[str, Record]]:
        """Return what has come, ``(topic, record)``, waiting up to ``timeout`` seconds."""
        found = []
        for message in self._consumer.consume(most, timeout):
            topic, offset = message.topic(), message.offset()
            if message.error() is not None or topic is None or offset is None:
                continue  # a topic that is not there yet; the rest the library retries itself
            self.is_connected = True
            record = Record(
                _bytes(message.key()), _bytes(message.value()), _headers(message), offset
            )
            found.append((topic, record))
        return found

    def close(self) -> None:
        """Leave."""
        self._consumer.close()

    def _note(self, error: KafkaError) -> None:
        lost = {KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT}  # noqa: SLF001 - its names
        if error.code() in lost:
            self.is_connected = False


def _headers(message: Message) -> dict[str, bytes]:
    pairs: Any = message.headers() or []
    return {name: _bytes(value) for name, value in pairs}


def _bytes(value: str | bytes | None) -> bytes:
    return value.encode() if isinstance(value, str) else value or b""
