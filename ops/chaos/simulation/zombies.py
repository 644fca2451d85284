"""Appliers that fell asleep: they wake up with what they knew and held, and must change nothing."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from consumers.apply import Applier
from consumers.errors import NotVerified
from consumers.verify import Run
from events import streams
from ops.chaos.simulation.location import ZOMBIE, Location


@dataclass(frozen=True, slots=True)
class Zombie:
    """An applier of a location, with the runs it was about to apply."""

    at: Location
    applier: Applier
    runs: list[Run]

    def wake(self) -> str:
        """Apply what it holds; return what became of it."""

        def work() -> None:
            for run in self.runs:
                with suppress(NotVerified):  # the branch it was on is given up
                    self.applier.apply(run)

        return self.at.run(ZOMBIE, work)


def asleep(at: Location, others: list[Location]) -> Zombie | None:
    """Return an applier that falls asleep at a location before it applies; None without news."""
    applier, runs = Applier(at.clock.now), []
    for other in others:
        with at.on(ZOMBIE):
            epoch = applier.latest_epoch(other.name)
            position = applier.position(other.name, epoch)
        with other.on("observer"):
            page = streams.page(other.name, epoch, position.seq)
        if page is not None:
            run = Run(page.origin, page.epoch, page.items, page.head, "pull", before=page.before)
            runs.append(run)
    return Zombie(at, applier, runs) if runs else None
