"""Rounds in random order and their medians: what differs within one run, not between runs."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of one variant's rounds, each divided by the number of its operations."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median of the rounds, in seconds per operation."""
        return statistics.median(self.seconds)

    def in_micros(self) -> str:
        """Return ``median [least..most]`` in µs per operation."""
        low, high = min(self.seconds) * 1e6, max(self.seconds) * 1e6
        return f"{self.median * 1e6:,.0f} [{low:,.0f}..{high:,.0f}]"


Variant = Callable[[int], int]  # round → how many operations it did


def race(variants: Mapping[str, Variant], rounds: int, seed: int) -> dict[str, Timing]:
    """Run every variant once a round, in an order shuffled anew each round."""
    order, times = list(variants), {name: list[float]() for name in variants}
    shuffle = random.Random(seed).shuffle
    for number in range(rounds + 1):  # the first round warms up and is not counted
        shuffle(order)
        for name in order:
            begun = time.perf_counter()
            operations = variants[name](number)
            seconds = (time.perf_counter() - begun) / operations
            if number:
                times[name].append(seconds)
    return {name: Timing(tuple(measured)) for name, measured in times.items()}
