"""What a demo prints when the three locations hold the same: numbers, addresses, logins."""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ops.demo.entering import Entered, count
from ops.demo.locations import USERS, Location
from ops.demo.screen import Screen
from ops.demo.stack import Stack
from ops.demo.tasks import Task, run_all

PATIENCE_SECONDS: Final = 300.0
LOOK_SECONDS: Final = 0.5
HEADINGS: Final = ("location", "customers", "events sent", "received", "left out", "seconds")


@dataclass(frozen=True, slots=True)
class Standing:
    """What one location holds: people, the number reached in each stream, and the digest."""

    customers: int
    heads: Mapping[str, Sequence[int]]  # {origin: [epoch, number, …]}, former epochs first
    digest: str
    is_settled: bool

    def events_of(self, origin: str) -> int:
        """Return how many events of an origin are here, in all epochs."""
        return sum(self.heads.get(origin, ())[1::2])


def wait_until_equal(
    stack: Stack, screen: Screen, least: int
) -> Generator[None, None, Mapping[str, Standing]]:
    """Wait until all locations hold the same, showing how far they are; return what they hold.

    ``least`` is how many people there must be at any rate.
    """
    begun = time.monotonic()
    while True:
        yield from _wait_for_people(stack, screen, least, begun)
        standings = yield from _take(stack)
        if are_equal(standings) or time.monotonic() - begun > PATIENCE_SECONDS:
            return standings
        yield from _pause(LOOK_SECONDS)


def are_equal(standings: Mapping[str, Standing]) -> bool:
    """Whether all hold the same: settled, at the same numbers, with one digest."""
    first = next(iter(standings.values()))
    return all(
        (each.is_settled, each.heads, each.digest) == (True, first.heads, first.digest)
        for each in standings.values()
    )


def report(
    stack: Stack, screen: Screen, entered: Entered, standings: Mapping[str, Standing]
) -> None:
    """Print what each location holds, where it is and who may sign in."""
    screen.line("")
    screen.line(_row(HEADINGS) + "  state digest")
    for location in stack.locations:
        screen.line(_line(location, entered, standings[location.name]))
    if not are_equal(standings):
        screen.line("The locations do not hold the same yet; see `manage.py sync_status`.")
    screen.line("")
    for location in stack.locations:
        logins = "  ".join(f"{user} / {location.users[user]['password']}" for user in USERS)
        screen.line(f"{location.name}  {location.url}  {logins}")
    screen.line("")


def _line(location: Location, entered: Entered, standing: Standing) -> str:
    own = standing.events_of(location.name)
    others = sum(map(standing.events_of, standing.heads)) - own
    figures = entered.get(location.name, {})
    cells = (
        location.name,
        f"{standing.customers:,}",
        f"{own:,}",
        f"{others:,}",
        f"{figures.get('left_out', 0):,}",
        f"{figures.get('seconds', 0):.1f}",
    )
    return f"{_row(cells)}  {standing.digest}"


def _row(cells: tuple[str, ...]) -> str:
    widths = (len(heading) for heading in HEADINGS)
    first, *others = (f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
    return "  ".join([first.strip().ljust(len(HEADINGS[0])), *others])


def _wait_for_people(
    stack: Stack, screen: Screen, least: int, begun: float
) -> Generator[None, None, None]:
    """Wait until all have equally many people, so that digests are worth their while."""
    while time.monotonic() - begun <= PATIENCE_SECONDS:
        counts = [count(location) for location in stack.locations]
        screen.progress("people at the three locations", sum(counts), 3 * max(least, *counts))
        if min(counts) == max(counts) >= least:
            return
        yield from _pause(LOOK_SECONDS)


def _pause(seconds: float) -> Generator[None, None, None]:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        yield


def _take(stack: Stack) -> Generator[None, None, dict[str, Standing]]:
    tasks = [
        Task(location.name, ["state_digest"], stack.child(location), location.directory)
        for location in stack.locations
    ]
    yield from run_all(tasks, attempts=3)
    return {
        location.name: standing(count(location), json.loads(task.output.strip().splitlines()[-1]))
        for location, task in zip(stack.locations, tasks, strict=True)
    }


def standing(customers: int, taken: Mapping[str, Any]) -> Standing:
    """Return what a location holds, as its ``state_digest`` says."""
    return Standing(customers, taken["heads"], str(taken["value"]), taken["is_settled"] is True)
