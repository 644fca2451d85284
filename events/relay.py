"""Sends this location's numbered events to its topic, each pass ended by a signed head."""

from __future__ import annotations

import threading

import structlog
from django.db import connection

from events import measures
from events.kafka import Sender, Undelivered
from events.records import of_head, of_item, topic_of
from events.streams import FIRST_EPOCH, own_head, page

IDLE_SECONDS = 0.5
PUBLISHED = "events_published"

log = structlog.get_logger("events.relay")


class Relay:
    """Sends in a loop, in its own thread: a Kafka that is gone holds up nobody's number."""

    def __init__(self, location: str, bootstrap: str, stop: threading.Event) -> None:
        self._location, self._bootstrap, self._stop = location, bootstrap, stop
        self._topic = topic_of(location)
        self._sender: Sender | None = None

    def step(self) -> bool:
        """Send one page; return whether there was one.

        After an error the next step goes on behind the last number that was acknowledged.
        """
        epoch, seq = self._published()
        run = page(self._location, epoch, seq)
        last = self._own_epoch() if run is None else epoch
        while run is None and epoch < last:
            epoch += 1
            run = page(self._location, epoch, 0)
        if run is None:
            return False
        self._sender = self._sender or Sender(self._bootstrap)
        records = [*(of_item(item, epoch) for item in run.items), of_head(run.head)]
        acknowledged = self._sender.send(self._topic, records, self._stop)
        sent = min(acknowledged, len(run.items))
        # Without its head a page is not verified yet: its last number is sent once more.
        done = sent if acknowledged == len(records) else max(sent - 1, 0)
        if done:
            self._note(epoch, run.items[done - 1].seq)
            measures.published.inc(done)
            log.info(PUBLISHED, events=done, seq=run.items[done - 1].seq)
        if acknowledged < len(records):
            raise Undelivered
        return True

    def close(self) -> None:
        """Close the producer; the next step opens another."""
        sender, self._sender = self._sender, None
        if sender is not None:
            sender.close()

    def _published(self) -> tuple[int, int]:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT epoch, seq FROM events_published WHERE topic = %s", [self._topic]
            )
            row = cursor.fetchone()
        return (FIRST_EPOCH, 0) if row is None else (row[0], row[1])

    def _own_epoch(self) -> int:
        with connection.cursor() as cursor:
            return own_head(cursor, self._location).epoch

    def _note(self, epoch: int, seq: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO events_published (topic, epoch, seq) VALUES (%s, %s, %s)"
                " ON CONFLICT (topic) DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq",
                [self._topic, epoch, seq],
            )
