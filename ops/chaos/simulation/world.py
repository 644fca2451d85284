"""All that one seed makes: locations, lines, Kafka, people; and what of it is not the product's."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import permutations
from types import SimpleNamespace
from typing import Any
from unittest import mock
from uuid import UUID, uuid5

import httpx

from events import guard
from ops.chaos.simulation.clocks import Clock, TimeModule, TrueTime
from ops.chaos.simulation.counts import counting
from ops.chaos.simulation.disks import Disks, Saved
from ops.chaos.simulation.history import History
from ops.chaos.simulation.kafka import Broker, Reader, Sender
from ops.chaos.simulation.lines import Line, Lines, Question, Transport
from ops.chaos.simulation.location import Location
from ops.chaos.simulation.stage import OLDER, PRESENT, Stage
from ops.chaos.simulation.zombies import Zombie

SOURCE = UUID("0b4f5c8e-6f0c-4d6e-9d8a-51c0a70f5eed")
# How many locations, and how often.
SIZES, SHARES = (3, 4, 5, 6, 7), (45, 25, 15, 10, 5)
TIMED = ("runner", "contact", "digests", "kafka_feed", "peer_routes")  # of consumers
SLOW_SECONDS = (0.0, 0.0, 0.0, 0.1, 0.5, 3.0)


@dataclass
class World:
    """Everything there is in one run."""

    dice: random.Random
    disks: Disks
    true: TrueTime = field(default_factory=TrueTime)
    stage: Stage = field(default_factory=Stage)
    history: History = field(default_factory=History)
    counts: Counter[str] = field(default_factory=Counter)
    locations: dict[str, Location] = field(default_factory=dict)
    zombies: list[Zombie] = field(default_factory=list)
    trace: list[str] = field(default_factory=list)
    backups: dict[str, Saved] = field(default_factory=dict)

    def __post_init__(self) -> None:
        dice = self.dice
        names = [f"loc{n + 1}" for n in range(dice.choices(SIZES, SHARES)[0])]
        self.page = dice.choice((6, 8, 12, 30, 1000))
        self.waiting = self.page * dice.choice((3, 10))
        self.lines = Lines(dice)
        self.broker = Broker(dice)
        self.has_kafka = dice.random() < 0.8
        # Some are upgraded already, and settle conflicts, of which the others do not know yet.
        self.has_upgrades = dice.random() < 0.4
        # What compares digests mends what differs: elsewhere nothing may hide behind that.
        self.has_digests = dice.random() < 0.3
        self.uids = [uuid5(SOURCE, str(n)) for n in range(dice.randint(4, 10))]
        self._names = names

    def label(self, uid: UUID) -> str:
        """Return what an entity is called in the trace."""
        return f"c{self.uids.index(uid)}" if uid in self.uids else "c?"

    def say(self, at: Location, what: str, outcome: str) -> None:
        """Add a line to the trace; it names no value."""
        self.trace.append(f"{len(self.trace):4} {at.name} {what} {outcome}")

    def all_lines(self) -> set[Line]:
        """Return every line there is."""
        return {Line(*pair) for pair in permutations(self.locations, 2)}

    def answer(self, question: Question) -> tuple[int, bytes]:
        """Let the location that is asked answer."""
        return self.locations[question.line.receiver].answer(question)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Be in this world as long as the block runs: locations run, chance comes from its dice."""

        def has_kafka() -> bool:
            return self.locations[self.stage.here.name].consumer.has_kafka

        with self._instead(), counting(self.counts, has_kafka):
            try:
                for name in self._names:
                    others = [other for other in self._names if other != name]
                    clock = Clock(self.true)
                    self.locations[name] = Location(
                        name, others, self.disks.empty(name), self.stage, clock,
                        has_kafka=self.has_kafka,
                    )  # fmt: skip
                    releases = (OLDER, PRESENT) if self.has_upgrades else (PRESENT,)
                    self.locations[name].release = self.dice.choice(releases)
                    self.locations[name].start()
                yield
            finally:
                for location in self.locations.values():
                    location.stop()

    @contextmanager
    def _instead(self) -> Iterator[None]:
        """Put clocks, lines, Kafka and dice in the place of the real ones."""
        client = httpx.Client

        def here() -> str:
            return self.stage.here.name

        def sender(bootstrap: str) -> Sender:
            return Sender(self.broker, here())

        def reader(bootstrap: str, offsets: Mapping[str, int]) -> Reader:
            return Reader(self.broker, here(), offsets)

        time = TimeModule(self.stage.clock)
        slow = TimeModule(self.stage.clock, lambda: self.dice.choice(SLOW_SECONDS))
        instead: dict[str, Any] = {
            "events.stamp.secrets": SimpleNamespace(randbits=self.dice.getrandbits),
            "events.keys.os": SimpleNamespace(urandom=self.dice.randbytes),
            **{f"consumers.{name}.time": time for name in TIMED},
            "consumers.apply.time": slow,
            "consumers.pull.httpx.Client": lambda **given: client(
                **given, transport=Transport(here(), self.lines, self.answer)
            ),
            "events.relay.Sender": sender,
            "consumers.kafka_feed.Reader": reader,
            # Small pages: runs, heads and inboxes end in the middle of what happens.
            "events.streams.PAGE": self.page,
            "events.sequencer.PAGE": self.page,
            "consumers.inbox.PAGE": self.page,
            "consumers.inbox.MOST_WAITING": self.waiting,
            # These are by PostgreSQL's clock, which goes on while the simulation thinks.
            "events.status.SILENCE_SECONDS": 3600.0,
            "events.guard.SET_MARK": guard.SET_MARK.replace("1 minute", "1 day"),
        }
        with ExitStack() as stack:
            for name, value in instead.items():
                stack.enter_context(mock.patch(name, value))
            yield
