"""Tells a topic of this location's dead letters: place, reason, size and hash, never the bytes."""

from __future__ import annotations

import threading

import structlog
from django.db import connection

from events.kafka import Sender, Undelivered
from events.records import dead_letters_of, of_dead_letter
from events.stamp import to_micros

IDLE_SECONDS = 5.0
MOST = 100
TOLD = "dead_letters_told"

log = structlog.get_logger("events.relay")

_UNTOLD = """
SELECT id, origin, epoch, seq, source, reason, octet_length(raw), encode(sha256(raw), 'hex'),
       received_at
FROM events_deadletter WHERE NOT is_told ORDER BY id LIMIT %s
"""


class DeadLetterRelay:
    """Sends in a loop, in its own thread: a topic that is not there holds up no event."""

    def __init__(self, location: str, bootstrap: str, stop: threading.Event) -> None:
        self._location, self._bootstrap, self._stop = location, bootstrap, stop
        self._sender: Sender | None = None

    def step(self) -> bool:
        """Tell of what was not told yet; return whether there was anything.

        Each letter is marked by itself, once Kafka has it: letters do not become visible in the
        order of their ids.
        """
        with connection.cursor() as cursor:
            cursor.execute(_UNTOLD, [MOST])
            rows = cursor.fetchall()
        if not rows:
            return False
        names = ("origin", "epoch", "seq", "source", "reason", "size", "sha256")
        records = [
            of_dead_letter(
                self._location,
                letter_id,
                {**dict(zip(names, said, strict=True)), "received_at": to_micros(at)},
            )
            for letter_id, *said, at in rows
        ]
        self._sender = self._sender or Sender(self._bootstrap)
        acknowledged = self._sender.send(dead_letters_of(self._location), records, self._stop)
        with connection.cursor() as cursor:
            ids = [row[0] for row in rows[:acknowledged]]
            cursor.execute("UPDATE events_deadletter SET is_told = true WHERE id = ANY(%s)", [ids])
        if acknowledged < len(rows):
            raise Undelivered
        log.info(TOLD, dead_letters=len(rows))
        return True

    def close(self) -> None:
        """Close the producer; the next step opens another."""
        sender, self._sender = self._sender, None
        if sender is not None:
            sender.close()
