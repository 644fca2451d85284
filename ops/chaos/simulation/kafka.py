"""An in-memory Kafka with the faults of a real one, behind the interface of ``events.kafka``."""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from events.records import Record

LOST_ACKNOWLEDGEMENT = 0.05
DELAYED = 0.3


@dataclass
class Log:
    """One topic; its oldest record has the offset ``low``."""

    records: list[Record] = field(default_factory=list)
    low: int = 0

    @property
    def high(self) -> int:
        """The offset that the next record gets."""
        return self.low + len(self.records)


@dataclass
class Broker:
    """What all locations share; ``away`` names those that cannot reach it."""

    dice: random.Random
    topics: dict[str, Log] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)
    is_calm: bool = False

    def log(self, topic: str) -> Log:
        """Return a topic, which comes with its first use."""
        return self.topics.setdefault(topic, Log())

    def append(self, topic: str, record: Record) -> None:
        """Keep a record at the end of a topic."""
        log = self.log(topic)
        log.records.append(replace(record, offset=log.high))

    def wipe(self, topic: str) -> None:
        """Delete a topic; the next use makes it anew, from offset 0."""
        self.topics.pop(topic, None)

    def forget(self, topic: str, count: int) -> None:
        """Drop the oldest records, as retention does."""
        log = self.log(topic)
        log.low += len(log.records[:count])
        del log.records[:count]


class Sender:
    """Sends from one location; acknowledgements may get lost, and what was sent with them."""

    def __init__(self, broker: Broker, location: str) -> None:
        self._broker, self._location = broker, location

    def send(self, topic: str, records: Sequence[Record], stop: threading.Event) -> int:
        """Return how many records from the first on were acknowledged."""
        broker, dice = self._broker, self._broker.dice
        if self._location in broker.away:
            return 0
        taken = acknowledged = len(records)
        if not broker.is_calm and dice.random() < LOST_ACKNOWLEDGEMENT:
            taken = dice.randint(0, len(records))
            acknowledged = dice.randint(0, taken)
        for record in records[:taken]:
            broker.append(topic, record)
        return acknowledged

    def close(self) -> None:
        """Leave."""


class Reader:
    """Reads at one location, at a pace of its own; where an offset is gone it begins anew."""

    def __init__(self, broker: Broker, location: str, offsets: Mapping[str, int]) -> None:
        self._broker, self._location = broker, location
        self._offsets = dict(offsets)

    @property
    def is_connected(self) -> bool:
        """Whether the broker is within reach."""
        return self._location not in self._broker.away

    def read(self, most: int, timeout: float) -> list[tuple[str, Record]]:
        """Return what has come, ``(topic, record)``; each topic in its order."""
        if not self.is_connected:
            return []
        topics = sorted(self._offsets)
        if not self._broker.is_calm:
            self._broker.dice.shuffle(topics)
        found = [(topic, record) for topic in topics for record in self._next(topic, most)]
        for topic, record in found[:most]:
            self._offsets[topic] = record.offset + 1
        return found[:most]

    def _next(self, topic: str, most: int) -> list[Record]:
        log, dice = self._broker.log(topic), self._broker.dice
        if not log.low <= self._offsets[topic] <= log.high:
            self._offsets[topic] = log.low
        begin = self._offsets[topic] - log.low
        waiting = log.records[begin : begin + most]
        if waiting and not self._broker.is_calm and dice.random() < DELAYED:
            return waiting[: dice.randint(0, len(waiting))]
        return waiting

    def close(self) -> None:
        """Leave."""
