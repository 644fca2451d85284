"""Which faults come in which episode: a pure function of the seed and the episode's number."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Final

from ops.chaos.processes.faults import KINDS, Fault, begin, drawn
from ops.chaos.processes.stack import ChaosStack

Episode = Sequence[Fault]
Look = Callable[[Sequence[Fault]], None]

# How many faults at once, out of ten episodes.
_HOW_MANY: Final = (1, 1, 1, 1, 1, 2, 2, 2, 3, 3)
MOST_AFTER: Final = 4.0
TRIES: Final = 20
TICK_SECONDS: Final = 0.1


def episode(seed: int, number: int, kinds: Sequence[str]) -> Episode:
    """Return the faults of an episode; of as many episodes as there are kinds, each leads one."""
    cycle, place = divmod(number, len(kinds))
    order = sorted(kinds)
    random.Random(f"{seed} {cycle}").shuffle(order)
    dice = random.Random(f"{seed} {number} of {len(kinds)}")
    found = [drawn(order[place], dice)]
    for _ in range(dice.choice(_HOW_MANY) - 1):
        found += _beside(found, dice, kinds)
    return found


def _beside(found: Episode, dice: random.Random, kinds: Sequence[str]) -> Episode:
    """Return another fault that touches nothing that those found touch, if chance has one."""
    taken = frozenset().union(*map(parts, found))
    for _ in range(TRIES):
        fault = drawn(dice.choice(sorted(kinds)), dice, round(dice.uniform(0, MOST_AFTER), 1))
        if parts(fault).isdisjoint(taken):
            return [fault]
    return []


def parts(fault: Fault) -> frozenset[str]:
    """Return what a fault touches."""
    return KINDS[fault.kind].parts(fault.where)


def play(stack: ChaosStack, faults: Episode, look: Look) -> None:
    """Let faults begin and end when they should, starting again meanwhile what has died.

    ``look`` is told again and again which of them last.
    """
    started = time.monotonic()
    waiting = sorted(faults, key=lambda fault: fault.after)
    lasting: list[tuple[float, Fault, ExitStack]] = []
    with ExitStack() as ended_anyway:
        while waiting or lasting:
            while waiting and waiting[0].after <= time.monotonic() - started:
                fault = waiting.pop(0)
                one = ExitStack()
                one.enter_context(begin(stack, fault))
                ended_anyway.callback(one.close)
                lasting.append((time.monotonic() + fault.seconds, fault, one))
            for each in [each for each in lasting if each[0] <= time.monotonic()]:
                each[-1].close()
                lasting.remove(each)
            look([fault for _, fault, _ in lasting])
            stack.keep_alive()
            time.sleep(TICK_SECONDS)
