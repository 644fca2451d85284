"""The process that brings other locations' events here: one thread applies, others ask peers."""

from __future__ import annotations

import threading
import time

import structlog
from django.conf import settings

from consumers import dead_letters
from consumers.apply import Applier
from consumers.contact import Network
from consumers.dead_letters import DeadLetter
from consumers.deliveries import Deliveries, Delivery
from consumers.digests import DigestKeeper
from consumers.errors import NotVerified
from consumers.kafka_feed import KafkaFeed
from consumers.peering import LOOK_SECONDS, Peering
from consumers.pull import Peer
from events import locations
from events.chain import Head
from events.loops import Loop

IDLE_SECONDS = 0.05
DIGEST_LOOK_SECONDS = 1.0
STARTED, NOT_VERIFIED = "consumer_started", "page_not_verified"

log = structlog.get_logger("consumers.runner")


def now_us() -> int:
    """Return µs since 1970."""
    return time.time_ns() // 1000


def _peer(name: str) -> Peer:
    return Peer(name, locations.peers()[name].url, now_us)


class Consumer:
    """Applies whatever Kafka or a peer delivers; there is one in a location."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._applier = Applier(now_us)
        self._deliveries = Deliveries(stop)
        self._heads: list[Head] = []  # said by peers; the applying thread compares them
        network = Network(self._deliveries, self._heads.append, self._has_kafka, stop)
        self._peering = Peering(network, now_us)
        self._feed: KafkaFeed | None = None
        if settings.KAFKA_BOOTSTRAP:
            poke = self._peering.poke
            self._feed = KafkaFeed(settings.KAFKA_BOOTSTRAP, self._applier, poke)
        self._keeper = DigestKeeper(_peer)

    def run(self) -> None:
        """Run until told to stop."""
        log.info(STARTED, has_kafka=self._feed is not None)
        beside = [
            Loop("peering", self._peering.step, lambda: LOOK_SECONDS, self._stop),
            Loop("digest", self._keeper.step, lambda: DIGEST_LOOK_SECONDS, self._stop),
        ]
        threads = [loop.thread() for loop in beside]
        Loop("apply", self.step, lambda: 0.0, self._stop, recover=self._recover).run()
        for loop in beside:
            loop.wake.set()
        for thread in threads:
            thread.join(3)
        self._peering.close()
        self._recover()

    def step(self) -> bool:
        """Apply what was pulled, then what Kafka brought; return whether there was anything."""
        while self._heads:
            self._applier.hear(self._heads.pop())
        delivery = self._deliveries.next(0 if self._feed else IDLE_SECONDS)
        if delivery is not None:
            self._apply(delivery)
        has_read = self._feed.step() if self._feed else False
        return has_read or delivery is not None

    def _apply(self, delivery: Delivery) -> None:
        run = delivery.run
        try:
            self._applier.apply(run)
        except NotVerified as exc:
            log.exception(NOT_VERIFIED, origin=run.origin, epoch=run.epoch, seq=exc.seq)
            raw = next((i.raw for i in run.items if i.seq == exc.seq), run.head.signed_bytes())
            letter = DeadLetter(
                run.origin, run.epoch, exc.seq, dead_letters.PULL, NOT_VERIFIED, raw
            )
            dead_letters.keep(letter, now_us())
        finally:
            delivery.done.set()

    def _has_kafka(self) -> bool:
        return self._feed is not None and self._feed.is_connected

    def _recover(self) -> None:
        if self._feed is not None:
            self._feed.close()
