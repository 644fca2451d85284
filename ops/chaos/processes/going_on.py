"""What has to go on while something is broken: writing where nothing is, and the way to each other.

A location's clients need its web server and its PostgreSQL, nothing else; two locations need the
way between them, and no Kafka.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import permutations
from typing import Final

import psycopg

from ops.chaos.processes.episodes import Episode, parts
from ops.chaos.processes.faults import Fault
from ops.chaos.processes.history import ACKNOWLEDGED, REFUSED, STUCK, UNKNOWN, Failure, Write
from ops.chaos.processes.stack import CLIENTS, ChaosStack
from ops.demo.places import LOCATIONS

OUTAGE_SECONDS: Final = 30.0  # a fault so long must let through what was written when it began
LEAST_A_SECOND: Final = 0.5  # writes acknowledged at a location that nothing hits
LOOK_SECONDS: Final = 1.0

# The last number of each stream.
LAST_NUMBERS: Final = """
SELECT DISTINCT ON (origin) origin, epoch, seq FROM events_eventnumber
ORDER BY origin, epoch DESC, seq DESC
"""
_NOTHING: Final = (0, 0)

LastNumbers = Mapping[str, tuple[int, int]]  # {origin: (epoch, number)}


def interrupted(faults: Episode, writes: Iterable[Write], seconds: float) -> Iterator[Failure]:
    """Yield a failure for each location that nothing hits and whose clients noticed something.

    ``writes`` are those of an episode, in which clients wrote for so many seconds.
    """
    hit, asked = _hit(faults), list(writes)
    for name in LOCATIONS:
        if hit.isdisjoint((f"{name} web", f"{name} postgres", f"{CLIENTS}>{name}")):
            there = [write for write in asked if write.location == name]
            taken = sum(write.outcome == ACKNOWLEDGED for write in there)
            unanswered = sum(map(_is_unanswered, there))
            if unanswered or taken < seconds * LEAST_A_SECOND:
                sentence = (
                    f"{taken} of {len(there)} writes in {seconds:.0f} s, {unanswered} in vain"
                )
                yield Failure(STUCK, f"nothing hits {name}, and it took {sentence}")


def _is_unanswered(write: Write) -> bool:
    return write.outcome == UNKNOWN or (write.outcome == REFUSED and write.status is None)


def _hit(faults: Iterable[Fault]) -> frozenset[str]:
    return frozenset().union(*map(parts, faults))


class Arrivals:
    """Sees whether what is written during outages reaches those who are still connected."""

    def __init__(self, stack: ChaosStack, faults: Episode) -> None:
        self._stack = stack
        self._outages = {fault for fault in faults if fault.seconds >= OUTAGE_SECONDS}
        hit = _hit(faults)
        self._missing = {
            pair
            for pair in permutations(LOCATIONS, 2)
            if self._outages and hit.isdisjoint(_needed(*pair))
        }
        self._before: Mapping[str, LastNumbers] = {}
        self._next_look = 0.0

    def look(self, lasting: Sequence[Fault]) -> None:
        """Look who has what was numbered since all outages began; ``lasting`` is what is broken."""
        now = time.monotonic()
        if not self._missing or now < self._next_look or not self._outages <= set(lasting):
            return
        self._next_look = now + LOOK_SECONDS
        found = {name: self._last_numbers(name) for name in set().union(*self._missing)}
        if not all(found.values()):
            return
        self._before = self._before or found
        self._missing -= {
            (one, other)
            for one, other in self._missing
            if found[other].get(one, _NOTHING) > self._before[one].get(one, _NOTHING)
        }

    def failures(self) -> Iterator[Failure]:
        """Yield a failure for each two of whom one had not heard of the other when it was over."""
        for one, other in sorted(self._missing):
            sentence = f"nothing is between {one} and {other}, and what {one} took did not arrive"
            yield Failure(STUCK, sentence)

    def _last_numbers(self, name: str) -> LastNumbers:
        with contextlib.suppress(psycopg.OperationalError):  # the next look may find more
            rows = self._stack.rows(name, LAST_NUMBERS)
            return {origin: (epoch, seq) for origin, epoch, seq in rows}
        return {}


def _needed(one: str, other: str) -> set[str]:
    """Return what has to work for what is written at one location to be pulled by the other."""
    sender = {f"{one} {part}" for part in ("web", "postgres", "sequencer", "clock")}
    receiver = {f"{other} {part}" for part in ("postgres", "consumer", "clock")}
    return sender | receiver | {f"{other}>{one}"}
