"""One detail of one customer changed, again and again: the event that everything is measured by."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence

from customers.details import groups_of
from customers.kinds import ENTITY
from events.drafting import Author, Draft
from events.envelope import Fields
from events.recorder import record
from ops.bench import people
from ops.bench.speed.stage import A_TRANSACTION, progress

CODES = list(people.values(0))
TYPE = "customers.details_changed"


def details(seed: int) -> Iterator[dict[str, Fields]]:
    """Yield new values, each of one of the nine details, search keys and names among them."""
    dice = random.Random(f"{seed} {time.time_ns()}")
    while True:
        code = dice.choice(CODES)
        yield groups_of({code: people.values(dice.getrandbits(40))[code]})


def enter(numbers: Sequence[int], count: int, origin: str, hours: float = 0.0) -> int:
    """Change one detail of each of ``count`` customers, 500 in a transaction, at a location.

    They are drawn from ``numbers``, nobody twice in a transaction, and stamped over the last
    ``hours``. Return how many events that made: a value that is so already makes none.
    """
    dice, wanted, made = random.Random(origin), details(3), 0
    meter = progress(count, f"changes entered at {origin}")
    for done in range(0, count, A_TRANSACTION):
        chosen = dice.sample(numbers, min(A_TRANSACTION, count - done, len(numbers)))
        drafts = [Draft(people.uid(n), TYPE, next(wanted), ENTITY) for n in chosen]
        ago = hours * 3600 * (1 - done / count)
        now = time.time_ns() // 1000 - int(ago * 1_000_000)
        made += len(record(drafts, Author(None, origin, now, f"bench-{origin}-{done}")))
        meter.show(done)
    meter.clear()
    return made
