"""True time, and the clocks of locations, which are wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

BEGINNING = 1_800_000_000_000_000  # µs since 1970
SECOND = 1_000_000


@dataclass
class TrueTime:
    """What time it is; it goes on only when the simulation says so. Nobody in it can see it."""

    micros: int = BEGINNING

    def go_on(self, micros: int) -> None:
        """Let time pass."""
        self.micros += micros


@dataclass
class Clock:
    """What a location thinks the time is."""

    true: TrueTime
    offset: int = 0  # µs

    def now(self) -> int:
        """Return µs since 1970, as this clock shows it."""
        return self.true.micros + self.offset


class TimeModule:
    """Stands in for ``time`` in the product's modules: the clock of the location that runs.

    ``slowness`` says by how many seconds work seems to take longer each time one looks.
    """

    def __init__(
        self,
        clock: Callable[[], Clock],
        slowness: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._clock, self._slowness = clock, slowness
        self._slower = 0.0

    def time_ns(self) -> int:
        """Return ns since 1970."""
        return self._clock().now() * 1000

    def monotonic(self) -> float:
        """Return seconds that never go back, whatever the clock shows."""
        self._slower += self._slowness()
        return self._clock().true.micros / SECOND + self._slower
