"""The processes of one location, as they are when they have just been started."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, cast
from unittest import mock

from django.db import OperationalError

from consumers import runner
from consumers.apply import Applier
from consumers.contact import Contact, Network
from consumers.deliveries import Deliveries, Delivery
from consumers.digests import DigestKeeper
from consumers.kafka_feed import KafkaFeed
from consumers.peering import Peering
from consumers.pull import Peer
from consumers.runner import Consumer
from consumers.verify import Run

TRIES = 3


class AtOnce(Deliveries):
    """Hands over a run, and lets the thread that applies take its steps while this one waits."""

    def __init__(self, stop: threading.Event, apply: Callable[[], None]) -> None:
        super().__init__(stop)
        self._apply = apply
        self._waiting: list[Delivery] = []

    def deliver(self, run: Run) -> None:
        """Hand over a run and wait until it was dealt with."""
        delivery = Delivery(run)
        self._waiting.append(delivery)
        try:
            for _ in range(TRIES):
                self._apply()
                if delivery.done.is_set():
                    return
        finally:
            if delivery in self._waiting:
                self._waiting.remove(delivery)
        raise AssertionError("a run was delivered and nobody dealt with it")

    def next(self, timeout: float) -> Delivery | None:
        """Return the next run, ``None`` if there is none."""
        return self._waiting.pop(0) if self._waiting else None


class Pausing(threading.Event):
    """A stop that is never asked for; whoever waits for it lets others do their work."""

    def __init__(self, meanwhile: Callable[[float], None]) -> None:
        super().__init__()
        self._meanwhile = meanwhile

    def wait(self, timeout: float | None = None) -> bool:
        """Let ``timeout`` seconds pass."""
        self._meanwhile(timeout or 0.0)
        return False


class NotWaitedFor:
    """A lock between threads of which only one runs: whoever would wait has to try again."""

    def __init__(self) -> None:
        self._is_held = False

    def __enter__(self) -> None:
        if self._is_held:
            raise OperationalError("another thread holds this lock")
        self._is_held = True

    def __exit__(self, *_: object) -> None:
        self._is_held = False


class Asked(Peering):
    """Peering whose contacts have no threads: whoever steers asks them."""

    def _begin(self, name: str) -> None:
        pass


class ConsumerProcess:
    """The real consumer, with its parts at hand: the steps of its threads are taken one by one."""

    def __init__(self, apply: Callable[[], None], meanwhile: Callable[[float], None]) -> None:
        self.feed: KafkaFeed | None = None

        def feed(bootstrap: str, applier: Applier, poke: Callable[[str], None]) -> KafkaFeed:
            self.feed = KafkaFeed(bootstrap, applier, poke)
            return self.feed

        def network(*given: Any) -> Network:
            made = Network(*given)
            made.epochs = cast("threading.Lock", NotWaitedFor())
            return made

        def keeper(peer: Callable[[str], Peer]) -> DigestKeeper:
            made = DigestKeeper(peer)
            self.compare = made.step
            return made

        parts: dict[str, Any] = {
            "Peering": self._peer,
            "KafkaFeed": feed,
            "Network": network,
            "DigestKeeper": keeper,
            "Deliveries": lambda stop: AtOnce(stop, apply),
        }
        with mock.patch.multiple(runner, **parts):
            self._consumer = Consumer(Pausing(meanwhile))
        self.step = self._consumer.step

    @property
    def contacts(self) -> Mapping[str, Contact]:
        """The contacts with peers, by name."""
        return self._peering.contacts

    def ask(self, name: str) -> None:
        """See who is a peer now, and let the contact with one take a step."""
        self._peering.step()
        contact = self._peering.contacts[name]
        contact.wake.clear()
        contact.step()

    @property
    def has_kafka(self) -> bool:
        """Whether Kafka delivers, as far as is known here."""
        return self.feed is not None and self.feed.is_connected

    def _peer(self, network: Network, clock: Callable[[], int]) -> Peering:
        self._peering = Asked(network, clock)
        return self._peering

    def recover(self) -> None:
        """Do what the loop that applies does after an error."""
        if self.feed is not None:
            self.feed.close()
