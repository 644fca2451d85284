"""Applying another location's events: new ones, late ones, and those that are here already."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from consumers.apply import Applier
from consumers.verify import Run, entries_of, verified
from customers.kinds import ENTITY
from events import chain
from events.chain import Head
from events.drafting import Draft
from events.envelope import from_raw
from events.recorder import Received, receive, record
from events.streams import FIRST_EPOCH, Position
from ops.bench import people
from ops.bench.applying import Stream
from ops.bench.environment import ORIGIN, ORIGIN_SEED
from ops.bench.report import Section
from ops.bench.speed import shares
from ops.bench.speed.changing import TYPE, details
from ops.bench.speed.kept import Cells
from ops.bench.speed.stage import Stage, tidy

FAST, LATE, DUPLICATES = 5_000, 3_000, 15_000  # events a second
LATE_SHARE = 10  # one in so many
HEADINGS = ("line", "events", "s", "events/s", "µs each", "inside")
_INSIDE = (
    "the applying process's own call: head and chain verified, decoded, ciphertext opened, cursor "
    "fenced, event, secret, key and number kept, head locked and saved, folded, versions, names "
    "and search keys written, committed; runs of up to 1,000, one of a customer's nine details each"
)
_LATE = "the same, but one in ten was made before another change of that customer that is here"
_PUT_BACK = "verified, decoded, found to be here; nothing written; the cursor is put back each time"
_AGAIN = "the applying process's own call: behind the cursor, its head compared; nothing written"
_ANEW = "the applying process's own call, numbers of another epoch: all events here, numbers kept"

Apply = Callable[[Run], int]


def measure(stage: Stage) -> list[Section]:
    """Apply what another location made, in the applying process's own call."""
    with stage.database():
        applier = Applier(_now)
        stream = Stream(range(stage.sizes.people), details(1))
        size, rounds = stage.sizes.of_a_run, stage.sizes.runs
        warm = stream.run(size)
        applier.apply(warm)
        # One more than is timed: the profiler's, if the goal is missed.
        fast = [stream.run(size) for _ in range(rounds + 1)]
        sections = [_new("Applying, fast path", FAST, fast, applier.apply, _INSIDE)]
        late = [stream.run(size) for _ in range(rounds + 1)]
        _overtake(late)
        tidy()
        sections.append(_new("Applying, 10 % late", LATE, late, applier.apply, _LATE))
        sections.append(_duplicates([warm, *fast], applier))
    return sections


def _new(title: str, goal: int, runs: Sequence[Run], apply: Apply, inside: str) -> Section:
    *timed, another = runs
    seconds = _seconds(apply, timed)
    rate = _count(timed) / seconds
    lines = [_line(title, timed, seconds, inside)]
    if rate < goal:
        lines += _profile(lambda: apply(another))
    else:
        apply(another)  # those that follow go on from its number
    return Section(title, f"≥ {goal:,} events/s", f"{rate:,.0f} events/s", rate >= goal, lines,
                   HEADINGS)  # fmt: skip


def _duplicates(runs: Sequence[Run], applier: Applier) -> Section:
    befores = [_end(run) for run in runs]
    pairs = dict(zip([id(run) for run in runs[1:]], befores, strict=False))

    def put_back(run: Run) -> int:
        entries = entries_of(verified(run, pairs[id(run)]), ORIGIN)
        sealed = [entry.sealed for entry in entries if entry.sealed]
        return len(receive(sealed, Received(_now())))

    again = runs[1:]
    seconds = _seconds(put_back, again)
    rate = _count(again) / seconds
    lines = [_line("cursor put back", again, seconds, _PUT_BACK)]
    if rate < DUPLICATES:
        lines += _profile(lambda: put_back(again[-1]))
    lines.append(_line("behind the cursor", again, _seconds(applier.apply, again), _AGAIN))
    anew = _numbered_anew(again)
    lines.append(_line("numbered anew", anew, _seconds(applier.apply, anew), _ANEW))
    return Section(
        "Skipping duplicates",
        f"≥ {DUPLICATES:,} events/s",
        f"{rate:,.0f} events/s",
        rate >= DUPLICATES,
        lines,
        HEADINGS,
    )


def _line(name: str, runs: Sequence[Run], seconds: float, inside: str) -> Cells:
    count = _count(runs)
    figures = (f"{count:,}", f"{seconds:.2f}", f"{count / seconds:,.0f}")
    return Cells([name, *figures, f"{seconds / count * 1e6:,.0f}", inside])


def _profile(work: Callable[[], object]) -> list[Cells]:
    found = shares.by_function(work)
    return [Cells(["where its time goes", "", "", "", "", shares.in_words(found)])]


def _seconds(apply: Apply, runs: Sequence[Run]) -> float:
    begun = time.perf_counter()
    for run in runs:
        apply(run)
    return time.perf_counter() - begun


def _count(runs: Sequence[Run]) -> int:
    return sum(len(run.items) for run in runs)


def _end(run: Run) -> Position:
    return Position(run.epoch, run.items[-1].seq, run.items[-1].chain)


def _overtake(runs: Sequence[Run]) -> None:
    """Change, here and later, another detail of every tenth customer of the runs."""
    wanted = details(2)
    for run in runs:
        drafts = []
        for item in run.items[::LATE_SHARE]:
            event = from_raw(item.raw)
            values = next(one for one in wanted if not one.keys() & event.base.keys())
            drafts.append(Draft(event.entity_uid, TYPE, values, ENTITY))
        record(drafts, people.author())


def _numbered_anew(runs: Sequence[Run]) -> list[Run]:
    """Return the same events as their origin would number them in its next epoch."""
    epoch, seq = FIRST_EPOCH + 1, 0
    value, anew = chain.start(ORIGIN, epoch), []
    for run in runs:
        items = []
        for item in run.items:
            seq, value = seq + 1, chain.step(value, item.raw)
            items.append(replace(item, seq=seq, chain=value))
        head = chain.sign(Head(ORIGIN, epoch, seq, value), ORIGIN_SEED)
        anew.append(Run(ORIGIN, epoch, items, head, "bench"))
    return anew


def _now() -> int:
    return time.time_ns() // 1000
