"""How pulled runs get from the threads that ask peers to the one thread that applies."""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass, field

from consumers.verify import Run

WAITING = 4


@dataclass(slots=True)
class Delivery:
    """A pulled run; ``done`` is set when it was applied, or could not be."""

    run: Run
    done: threading.Event = field(default_factory=threading.Event)


class Deliveries:
    """A short queue: who pulls waits for who applies."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._queue: queue.Queue[Delivery] = queue.Queue(WAITING)

    def deliver(self, run: Run) -> None:
        """Hand over a run and wait until it was dealt with."""
        delivery = Delivery(run)
        while not self._stop.is_set():
            try:
                self._queue.put(delivery, timeout=0.2)
                break
            except queue.Full:
                continue
        while not delivery.done.wait(0.2):
            if self._stop.is_set():
                return

    def next(self, timeout: float) -> Delivery | None:
        """Return the next run, waiting up to ``timeout`` seconds; ``None`` if there is none."""
        try:
            return self._queue.get(timeout=timeout) if timeout else self._queue.get_nowait()
        except queue.Empty:
            return None
