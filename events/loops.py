"""Daemons are readable loops: a step says whether it did something; errors make it wait."""

from __future__ import annotations

import contextlib
import random
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType

import structlog
from django.db import DEFAULT_DB_ALIAS, connection, connections

STEP_FAILED = "step_failed"
STOPPING = "stopping"

log = structlog.get_logger("events.loops")
_dice = random.SystemRandom()


class Backoff:
    """How long to wait after errors: doubling up to ``most`` seconds, with jitter."""

    def __init__(self, least: float = 0.1, most: float = 2.0) -> None:
        self._least, self._most = least, most
        self._failures = 0

    def reset(self) -> None:
        """Begin anew after a success."""
        self._failures = 0

    def next(self) -> float:
        """Return the seconds to wait after one more failure."""
        longest = min(self._most, self._least * float(1 << self._failures))
        self._failures = min(self._failures + 1, 16)
        return longest * _dice.uniform(0.5, 1.0)


@dataclass
class Loop:
    """Repeats ``step`` until ``stop`` is set; idle, it waits ``pause()`` seconds or for ``wake``.

    No error ends it: PostgreSQL, Kafka or a peer may be gone for long and come back.
    """

    name: str
    step: Callable[[], bool]
    pause: Callable[[], float]
    stop: threading.Event
    wake: threading.Event = field(default_factory=threading.Event)
    recover: Callable[[], None] = lambda: None

    def run(self) -> None:
        """Repeat the step; returns when told to stop."""
        backoff = Backoff()
        while not self.stop.is_set():
            self.wake.clear()
            try:
                is_busy = self.step()
            except Exception:
                log.warning(STEP_FAILED, loop=self.name, exc_info=True)
                self._recover()
                self.stop.wait(backoff.next())
                continue
            backoff.reset()
            if not is_busy:
                self.wake.wait(self.pause())
        connection.close()

    def thread(self) -> threading.Thread:
        """Start the loop in a thread of its own, with a database connection of its own."""
        thread = threading.Thread(target=self.run, name=self.name, daemon=True)
        thread.start()
        return thread

    def _recover(self) -> None:
        # A connection that PostgreSQL dropped must not be used again, nor may closing it hurt.
        with contextlib.suppress(Exception):
            connection.close()
        with contextlib.suppress(Exception):
            self.recover()


def leave_the_pool() -> None:
    """Let every thread of this process open a connection of its own.

    Loops keep theirs for as long as they run: with one for each peer no pool is large enough.
    """
    connections.settings[DEFAULT_DB_ALIAS]["OPTIONS"].pop("pool", None)


def stop_on_signals() -> threading.Event:
    """Return a flag that SIGTERM and SIGINT set."""
    stop = threading.Event()

    def ask(number: int, _: FrameType | None) -> None:
        log.info(STOPPING, signal=signal.Signals(number).name)
        stop.set()

    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGINT, ask)
    return stop
