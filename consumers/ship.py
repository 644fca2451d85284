"""The process that tells Elasticsearch what happened here; nobody waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import Final

import structlog
from django.conf import settings

from consumers import ship_cursors, ship_sources
from consumers.ship_bulk import Answer, Bulk
from consumers.ship_documents import MINUTE
from consumers.ship_sources import Chunk
from events.loops import Backoff, Loop
from events.stamp import to_datetime

IDLE_SECONDS: Final = 1.0
STARTED, OFF = "shipping_started", "shipping_off"
SHIPPED, NOT_TAKEN = "documents_shipped", "documents_not_taken"

log = structlog.get_logger("consumers.ship")


class Shipper:
    """Sends each stream in number order, in chunks; ``clock`` says what time it is (µs)."""

    def __init__(self, bulk: Bulk, clock: Callable[[], int]) -> None:
        self._bulk, self._clock = bulk, clock
        self._prepared = 0  # the minute in which Elasticsearch was last told the mapping
        self._waiting: Chunk | None = None  # what of a chunk is not taken yet
        self._answer: Future[Answer] | None = None  # what becomes of it, while it is on its way
        self._backoff = Backoff()

    def step(self) -> bool:
        """Ship some chunks of every stream that has more; return whether to go on at once.

        What comes in the meantime waits for the next step: many small requests would take from
        those who write.

        1. Once a minute, and after an error, make sure of the mapping.
        2. Send again what was not taken last time.
        3. Read what follows each cursor, a chunk while the one before it is on its way.
        """
        now = self._clock()
        if self._prepared != now // MINUTE:  # 1
            self._bulk.prepare()
            self._prepared = now // MINUTE
        has_more = False
        if self._waiting is not None:  # 2
            if self._answer is None:
                self._send(self._waiting)
            if not self._is_taken():
                return False
        for chunk in ship_sources.chunks(now):  # 3
            has_more = has_more or not chunk.is_last
            if not self._is_taken():
                return False
            self._send(chunk)
        return self._is_taken() and has_more

    def pause(self) -> float:
        """Return how long to wait; longer and longer while Elasticsearch takes nothing more."""
        return IDLE_SECONDS if self._waiting is None else self._backoff.next()

    def recover(self) -> None:
        """After an error Elasticsearch may be another, or an empty one."""
        self._prepared = 0

    def _send(self, chunk: Chunk) -> None:
        self._waiting, self._answer = chunk, self._bulk.begin(chunk.documents)

    def _is_taken(self) -> bool:
        """Wait for what is on its way; return whether nothing is left of it.

        1. Take the answer; after an error the chunk waits, and its cursor stays.
        2. Keep what was refused for good; forget what was refused once and is there now.
        3. Let wait what was not taken.
        4. Save the cursor, last.
        """
        chunk, coming = self._waiting, self._answer
        if chunk is None or coming is None:
            return True
        self._answer = None
        answer = coming.result()  # 1
        ship_cursors.settle(answer.accepted, answer.refused, to_datetime(self._clock()))  # 2
        if answer.again:  # 3
            if len(answer.again) < len(chunk.documents):
                self._backoff.reset()
            self._waiting = replace(chunk, documents=answer.again)
            log.warning(NOT_TAKEN, stream=chunk.stream, documents=len(answer.again))
            return False
        ship_cursors.save(chunk.stream, chunk.after, chunk.number)  # 4
        self._waiting = None
        self._backoff.reset()
        log.info(SHIPPED, stream=chunk.stream, number=chunk.number, documents=len(chunk.documents))
        return True


def run(stop: threading.Event, clock: Callable[[], int]) -> None:
    """Ship until told to stop; returns at once where there is no Elasticsearch."""
    if not settings.ELASTICSEARCH_HOST:
        log.info(OFF)
        return
    bulk = Bulk(settings.ELASTICSEARCH_HOST)
    shipper = Shipper(bulk, clock)
    log.info(STARTED)
    Loop("ship", shipper.step, shipper.pause, stop, recover=shipper.recover).run()
    bulk.close()
