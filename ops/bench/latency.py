"""How long until what is entered at one location is readable at the API of the others."""

from __future__ import annotations

import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from uuid import uuid4

import httpx

from ops.bench.report import Section
from ops.demo.driving import DrivenDemo, driven_demo

WRITES: Final = 200
SECONDS_BETWEEN: Final = 0.25  # on average: bursts and quiet moments, as people enter
LOOK_SECONDS: Final = 0.02
PATIENCE_SECONDS: Final = 60.0
WRITER, READERS = "loc1", ("loc2", "loc3")
GOALS: Final = {"embedded": 1.0, "none": 3.0}  # seconds at p95
NAMES: Final = {"embedded": "with the broker", "none": "without any broker"}
COLUMNS: Final = ("variant", "s at p50", "s at p95", "s at most", "writes", "inside")
INSIDE: Final = {
    "embedded": "sent to the writing location's API, recorded, committed; numbered, signed, "
    "published, consumed, verified, folded, committed; answered with 200 by both others' API",
    "none": "the same, but fetched by the others over signed HTTP; KAFKA_BOOTSTRAP is empty",
}


@dataclass(frozen=True, slots=True)
class Delay:
    """The seconds of all writes of one variant, until the later of the readers had it."""

    broker: str
    seconds: Sequence[float]

    def at(self, percent: int) -> float:
        """Return the seconds that so many percent of the writes do not exceed."""
        return statistics.quantiles(self.seconds, n=100, method="inclusive")[percent - 1]

    @property
    def is_met(self) -> bool:
        """Whether the goal is met."""
        return self.at(95) <= GOALS[self.broker]

    def cells(self) -> Sequence[str]:
        """Return its line of the report."""
        figures = (self.at(50), self.at(95), max(self.seconds))
        texts = (f"{figure:.2f}" for figure in figures)
        return (NAMES[self.broker], *texts, f"{len(self.seconds)}", INSIDE[self.broker])


def measure_latency(writes: int = WRITES) -> Section:
    """Run three locations with a broker, then without any; return the report's section."""
    delays = [_measured(broker, writes) for broker in GOALS]
    return Section(
        "Readable at the other locations",
        ", ".join(f"≤ {GOALS[d.broker]:.0f} s {NAMES[d.broker]}" for d in delays),
        ", ".join(f"{d.at(95):.2f} s" for d in delays) + " at p95",
        all(delay.is_met for delay in delays),
        delays,
        COLUMNS,
    )


def _measured(broker: str, writes: int) -> Delay:
    with (
        tempfile.TemporaryDirectory() as directory,
        driven_demo(Path(directory) / "sins", broker=broker) as demo,
    ):
        _timed(demo, 10)  # warms up
        return Delay(broker, _timed(demo, writes))


def _timed(demo: DrivenDemo, writes: int) -> list[float]:
    readers = [_Reader(demo.client(name)) for name in READERS]
    threads = [threading.Thread(target=reader.run) for reader in readers]
    for thread in threads:
        thread.start()
    sent: dict[str, float] = {}
    dice = random.Random(7)
    with demo.client(WRITER) as client:
        for number in range(writes):
            uid = str(uuid4())
            sent[uid] = time.perf_counter()
            values = {"entity_uid": uid, "surname": f"Surname {number}", "name": f"Name {number}"}
            client.post("/customers", json=values).raise_for_status()
            for reader in readers:
                reader.look_for(uid)
            time.sleep(dice.expovariate(1 / SECONDS_BETWEEN))
    for reader in readers:
        reader.finish()
    for thread in threads:
        thread.join()
    if any(reader.seen.keys() != sent.keys() for reader in readers):
        raise RuntimeError(f"Not everything was readable after {PATIENCE_SECONDS:.0f} s.")
    return [max(reader.seen[uid] for reader in readers) - begun for uid, begun in sent.items()]


@dataclass
class _Reader:
    """Asks a location again and again for what it has not shown yet."""

    client: httpx.Client
    clock: Callable[[], float] = time.perf_counter
    seen: dict[str, float] = field(default_factory=dict)
    _waiting: list[str] = field(default_factory=list)
    _is_complete: threading.Event = field(default_factory=threading.Event)

    def look_for(self, uid: str) -> None:
        """Look for a customer from now on."""
        self._waiting.append(uid)

    def finish(self) -> None:
        """Nobody else is to be looked for."""
        self._is_complete.set()

    def run(self) -> None:
        """Look until everybody was seen, or for too long."""
        patience = 0.0
        with self.client:
            while self._waiting or not self._is_complete.is_set():
                patience += LOOK_SECONDS if self._is_complete.is_set() else 0.0
                if patience > PATIENCE_SECONDS:
                    break
                for uid in list(self._waiting):
                    if self.client.get(f"/customers/{uid}").status_code == httpx.codes.OK:
                        self.seen[uid] = self.clock()
                        self._waiting.remove(uid)
                time.sleep(LOOK_SECONDS)
