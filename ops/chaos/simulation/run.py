"""One seed from the first operation to the last check."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from events import contacts, digest, streams
from ops.chaos.simulation import faults
from ops.chaos.simulation.checks import check, dump, same
from ops.chaos.simulation.clocks import SECOND
from ops.chaos.simulation.disks import Disks
from ops.chaos.simulation.history import BrokenPromise
from ops.chaos.simulation.location import OBSERVER, PROCESSES, Location
from ops.chaos.simulation.operations import OPERATIONS, Operation
from ops.chaos.simulation.world import World

PAUSES = (0, 1, 1000, 300_000, SECOND, 2 * SECOND, 6 * SECOND)  # µs between two operations
MOST_ROUNDS = 30
MOST_STEPS = 500  # of one loop, until it has nothing to do

_STREAMS = """
SELECT origin, epoch, max(seq), count(*), encode((array_agg(chain ORDER BY seq DESC))[1], 'hex')
FROM events_eventnumber GROUP BY 1, 2 ORDER BY 1, 2
"""
_WAITING = "SELECT (SELECT count(*) FROM events_outbox), (SELECT count(*) FROM events_recovery)"


@dataclass
class Outcome:
    """What became of a seed; ``failure`` is None if everything held."""

    seed: int
    operations: int
    failure: str | None = None
    trace: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    digest: str = ""
    seconds: float = 0.0
    error: BaseException | None = None

    def line(self) -> dict[str, Any]:
        """Return what the report keeps of it."""
        found = {
            "seed": self.seed,
            "operations": self.operations,
            "failure": self.failure,
            "digest": self.digest,
            "seconds": round(self.seconds, 2),
            "counts": dict(sorted(self.counts.items())),
        }
        return found | ({"trace": self.trace} if self.failure else {})


def simulate(
    disks: Disks,
    seed: int,
    operations: int,
    weighted: Sequence[Operation] = OPERATIONS,
) -> Outcome:
    """Run one seed; the same seed always makes the same trace and the same rows."""
    begun = time.monotonic()
    world = World(random.Random(seed), disks)
    outcome = Outcome(seed, operations, trace=world.trace)
    with world.running():
        try:
            for _ in range(operations):
                happen(world, weighted)
            mend(world)
            quiet(world)
            check(world)
            outcome.digest = hashed(world)
            nothing_changes(world)
        except Exception as exc:  # noqa: BLE001 - whatever it is, it is this seed's outcome
            outcome.failure = f"{type(exc).__name__}: {exc}"
            outcome.error = exc
    outcome.counts = dict(world.counts)
    outcome.seconds = time.monotonic() - begun
    return outcome


def happen(world: World, weighted: Sequence[Operation]) -> None:
    """Let some time pass, and one thing happen at one location."""
    dice = world.dice
    world.true.go_on(dice.choice(PAUSES))
    at = world.locations[dice.choice(list(world.locations))]
    (operation,) = dice.choices(weighted, [each.weight for each in weighted])
    world.counts["operations"] += 1
    world.say(at, operation.happens.__name__, operation.happens(world, at))


def mend(world: World) -> None:
    """Mend everything that is broken; who sleeps wakes up, what is late arrives."""
    world.lines.heal()
    world.broker.away.clear()
    world.broker.is_calm = True
    for location in world.locations.values():
        location.clock.offset = 0
        for seam in location.seams.values():
            seam.revive()
    some = next(iter(world.locations.values()))
    while world.zombies:
        world.say(some, "wake", faults.wake(world, some))
    while world.lines.late:
        world.say(some, "arrive_late", faults.arrive_late(world, some))
    for location in world.locations.values():
        world.say(location, "upgrade", faults.upgrade(world, location))


def quiet(world: World) -> None:
    """I10: let everything run until nothing is left to do; that takes a bounded number of rounds.

    One more round lets everybody hear that it is so.
    """
    for _ in range(MOST_ROUNDS):
        one_round(world)
        if is_quiet(world):
            for location in world.locations.values():
                with location.on(OBSERVER):
                    contacts.note_digest(digest.take())
            one_round(world)
            return
    raise BrokenPromise(f"I10: not quiet after {MOST_ROUNDS} rounds: {standing(world)}")


def one_round(world: World) -> None:
    """Let every loop of every location run until it waits."""
    world.true.go_on(6 * SECOND)
    for location in world.locations.values():
        run_location(world, location)
    for location in world.locations.values():
        ask_peers(world, location)


def run_location(world: World, location: Location) -> None:
    """Let a location's sequencer, relay and applying thread run until they wait."""
    for thread in ("sequencer", "relay", "apply"):
        _until_idle(world, location, thread)


def ask_peers(world: World, location: Location) -> None:
    """Let each contact of a location take a step."""
    for peer in location.settings["PEERS"]:
        said = location.ask(peer)
        if said != "done":
            world.say(location, f"ask {peer}", said)


def _until_idle(world: World, location: Location, thread: str) -> None:
    for _ in range(MOST_STEPS):
        said, is_busy = location.turn(thread)
        if said != "done":
            world.say(location, thread, said)
        if said == "done" and not is_busy:
            return
    raise BrokenPromise(f"I10: {thread} of {location.name} never rests")


def is_quiet(world: World) -> bool:
    """Whether everything has a number, has arrived everywhere, and every location takes writes."""
    found = standing(world)
    first = next(iter(found.values()))
    return all(each == (first[0], (0, 0), {}) for each in found.values())


def standing(world: World) -> dict[str, tuple[Any, Any, Any]]:
    """Return where each location stands: its numbers, what waits, which streams are stopped."""
    found = {}
    for name, location in world.locations.items():
        with location.on(OBSERVER):
            stopped = streams.stopped()
        found[name] = location.rows(_STREAMS), location.rows(_WAITING)[0], stopped
    return found


def hashed(world: World) -> str:
    """Return a hash of the trace and of everything that is the same at all locations."""
    first = next(iter(world.locations.values()))
    text = repr([world.trace, sorted(world.counts.items()), dump(first)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def nothing_changes(world: World) -> None:
    """I11: let one location start again and everything run for a while; not one byte changes."""
    location = world.dice.choice(list(world.locations.values()))
    before = dump(location)
    for process in PROCESSES:
        location.restart(process)
    world.true.go_on(6 * SECOND)
    run_location(world, location)
    ask_peers(world, location)
    same(before, dump(location), f"before and after a restart of {location.name}", "I11")
