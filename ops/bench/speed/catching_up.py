"""Catching up: after a cut of a day's work, and a new location from nothing; its memory, too."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

import psycopg

from events.console import Meter
from ops.bench.report import Section
from ops.bench.shipping import Mark, megabytes
from ops.bench.speed import changing, shares
from ops.bench.speed.kept import Cells
from ops.bench.speed.stage import (
    READER,
    WRITER,
    Stage,
    number_all,
    one_of,
    progress,
    say,
    tidy,
    wait_until,
)
from tests.locations import Locations, serves

HOURS = 8.0
CUT_GOAL, NEW_GOAL = 60.0, 600.0  # seconds
MOST_GROWTH = 0.2
LOOK_SECONDS = 0.1
# Both work on these shares of the customers: a tenth of them is common to both.
SHARES = {WRITER: (0.0, 0.55), READER: (0.45, 1.0)}
CUT_HEADINGS = ("events missed", "s", "events/s", "inside")
NEW_HEADINGS = (
    "events",
    "s",
    "events/s since the mark before",
    "MB (RSS of the consumer)",
    "inside",
)
_CUT = (
    "both locations changed half as many, stamped over eight hours, a tenth of the customers "
    "common to both; from the moment the link is mended until each has applied all that "
    "the other has; their own processes, pulled over signed HTTP without a broker; digests equal "
    "after it"
)
_NEW = (
    "consume_events as a location runs it, on an empty database: from its start until the last "
    "number is applied; customers of nine details first, then one detail of one of them each; "
    "pulled over signed HTTP from a web server beside it"
)
_MEMORY = "of that same process, resident when so many events were applied"
_NUMBERED = "SELECT coalesce(max(seq), 0) FROM events_eventnumber WHERE origin = %s"
_APPLIED = "SELECT coalesce(max(seq), 0) FROM events_received WHERE origin = %s"


def after_a_cut(stage: Stage) -> list[Section]:
    """Cut two locations off, change customers at both, mend, and wait until they are equal."""
    with stage.locations(WRITER, READER) as locations:
        locations.start()
        locations.wait_until_equal(600)
        locations.cut(READER)
        made = sum(_work(stage, locations, name) for name in SHARES)
        wait_until(lambda: all("" not in each.heads() for each in locations.all.values()))
        seconds, busy = _mended(stage, locations)
        locations.wait_until_equal()
        if len(set(locations.digests())) != 1:
            raise RuntimeError("Equal numbers, but other rows: the digests differ.")
    lines = [Cells([f"{made:,}", f"{seconds:.1f}", f"{made / seconds:,.0f}", _CUT])]
    if seconds >= CUT_GOAL:
        lines.append(Cells(["", "", "", f"cores kept busy: {shares.in_words(busy)}"]))
    figure = f"{seconds:.1f} s for {made:,} events"
    return [Section("Equal after an 8-hour cut", f"100,000 events in < {CUT_GOAL:.0f} s", figure,
                    seconds < CUT_GOAL, lines, CUT_HEADINGS)]  # fmt: skip


def _mended(stage: Stage, locations: Locations) -> tuple[float, shares.Shares]:
    """Mend the links; return the seconds until each has applied all that the other has."""
    with ExitStack() as stack:
        looks = {
            name: stack.enter_context(psycopg.connect(each.database.owner, autocommit=True))
            for name, each in locations.all.items()
        }
        numbers = {name: one_of(look, _NUMBERED, name) for name, look in looks.items()}
        other = {WRITER: READER, READER: WRITER}
        with shares.by_process(stage.processes(locations)) as busy:
            begun = time.perf_counter()
            locations.heal(READER)
            for name, look in looks.items():
                of, last = other[name], numbers[other[name]]
                wait_until(partial(_has_applied, look, of, last), LOOK_SECONDS)
            return time.perf_counter() - begun, busy


def _has_applied(look: psycopg.Connection, origin: str, last: int) -> bool:
    return one_of(look, _APPLIED, origin) >= last


def _work(stage: Stage, locations: Locations, name: str) -> int:
    stage.at(locations, name)
    first, last = (int(share * stage.sizes.people) for share in SHARES[name])
    made = changing.enter(range(first, last), stage.sizes.missed // 2, name, HOURS)
    tidy()
    return made


def new_location(stage: Stage) -> list[Section]:
    """Let a location begin with nothing beside one that has very many events."""
    with stage.locations(WRITER, READER) as locations:
        stage.at(locations, WRITER)
        begun = time.perf_counter()
        people = stage.sizes.people
        changing.enter(range(people), max(0, stage.sizes.events - people), WRITER)
        number_all()
        tidy()
        seconds = time.perf_counter() - begun
        say(f"{stage.sizes.events:,} events are at one location after {seconds:.0f} s")
        stage.emptied(locations, READER)
        locations.network.start()
        locations.start_program(locations[WRITER], "web")
        wait_until(lambda: serves(locations[WRITER]), 0.1)
        marks, busy = _pulled(stage, locations)
    return [_new(marks, busy), _memory(marks)]


def _pulled(stage: Stage, locations: Locations) -> tuple[list[Mark], shares.Shares]:
    """Start the new location's consumer; return how it stood at each mark."""
    reader, meter = locations[READER], progress(stage.sizes.events, "events applied")
    begun = time.perf_counter()
    locations.start_program(reader, "consumer")
    pid = reader.programs["consumer"].pid or 0
    [[last]] = locations[WRITER].rows(_NUMBERED, [WRITER])
    marks = [Mark(0, 0.0, 0.0, 0.0)]
    with (
        shares.by_process(stage.processes(locations)) as busy,
        psycopg.connect(reader.database.owner, autocommit=True) as look,
    ):
        for mark in (*stage.sizes.marks[:-1], last):
            wait_until(partial(_has_shown, look, mark, meter), LOOK_SECONDS)
            here = one_of(look, _APPLIED, WRITER)
            marks.append(marks[-1].next(here, time.perf_counter() - begun, megabytes(pid)))
    meter.clear()
    return marks[1:], busy


def _has_shown(look: psycopg.Connection, mark: int, meter: Meter) -> bool:
    here = one_of(look, _APPLIED, WRITER)
    meter.show(here)
    return here >= mark


def _new(marks: Sequence[Mark], busy: shares.Shares) -> Section:
    seconds, events = marks[-1].seconds, marks[-1].documents
    is_met = seconds < NEW_GOAL
    where = [] if is_met else [Cells(["", "", "", "", f"cores kept busy: {shares.in_words(busy)}"])]
    lines = [*_cells(marks, _NEW), *where]
    return Section("A new location", f"1,000,000 events in < {NEW_GOAL / 60:.0f} min",
                   f"{seconds / 60:.1f} min for {events:,} events", is_met, lines,
                   NEW_HEADINGS)  # fmt: skip


def _memory(marks: Sequence[Mark]) -> Section:
    first, last = marks[0], marks[-1]
    growth = last.megabytes / first.megabytes - 1
    return Section(
        "Memory of the consumer",
        f"± {MOST_GROWTH:.0%} from {first.documents:,} to {last.documents:,} events",
        f"{first.megabytes:.1f} MB, {last.megabytes:.1f} MB ({growth:+.0%})",
        abs(growth) <= MOST_GROWTH,
        _cells(marks, _MEMORY),
        NEW_HEADINGS,
    )


def _cells(marks: Sequence[Mark], inside: str) -> list[Cells]:
    return [Cells([*mark.cells(), inside if mark is marks[0] else ""]) for mark in marks]
