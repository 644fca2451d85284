"""Numbering, signing and sending what waits: the sequencer's process, its relay and a broker."""

from __future__ import annotations

import time

import psycopg

from events.records import topic_of
from events.streams import FIRST_EPOCH
from ops.bench.report import Section
from ops.bench.speed import changing, shares
from ops.bench.speed.kept import Cells
from ops.bench.speed.stage import WRITER, Stage, one_of, tidy, wait_until

GOAL = 12_000  # events a second
HEADINGS = ("line", "events", "s", "events/s", "inside")
INSIDE = (
    "run_sequencer as a location runs it, on what was committed before: numbered, chained, signed "
    "and committed, then read, sent to the embedded broker with their keys, acknowledged and "
    "noted; from its first numbers on until the last is noted as sent"
)
_NUMBERED = "SELECT coalesce(max(seq), 0) FROM events_eventnumber WHERE origin = %s"
_SENT = "SELECT coalesce(max(seq), 0) FROM events_published WHERE topic = %s"


def measure(stage: Stage) -> list[Section]:
    """Let events wait, start the process, and time it."""
    with stage.locations(WRITER, has_broker=True) as locations:
        stage.at(locations, WRITER)
        here = locations[WRITER]
        with psycopg.connect(here.database.owner, autocommit=True) as look:
            before = _numbered(look)
            look.execute(
                "INSERT INTO events_published (topic, epoch, seq) VALUES (%s, %s, %s)",
                [topic_of(WRITER), FIRST_EPOCH, before],
            )
            people = range(stage.sizes.people)
            last = before + changing.enter(people, stage.sizes.sent, WRITER)
            tidy()
            locations.start_program(here, "sequencer")
            wait_until(lambda: _numbered(look) > before)
            with shares.by_process(stage.processes(locations)) as busy:
                first, begun = _numbered(look), time.perf_counter()
                wait_until(lambda: _numbered(look) >= last)
                numbered = time.perf_counter() - begun
                wait_until(lambda: _sent(look) >= last)
                seconds = time.perf_counter() - begun
    return [_section(last - first, numbered, seconds, busy)]


def _section(count: int, numbered: float, seconds: float, busy: shares.Shares) -> Section:
    rate = count / seconds
    lines = [
        _line("numbered, signed, sent", count, seconds, INSIDE),
        _line("of these, numbered", count, numbered, "until the last of them has its number"),
    ]
    if rate < GOAL:
        lines.append(Cells(["cores kept busy", "", "", "", shares.in_words(busy)]))
    return Section("Relay: number, sign, send", f"≥ {GOAL:,} events/s", f"{rate:,.0f} events/s",
                   rate >= GOAL, lines, HEADINGS)  # fmt: skip


def _line(name: str, count: int, seconds: float, inside: str) -> Cells:
    return Cells([name, f"{count:,}", f"{seconds:.2f}", f"{count / seconds:,.0f}", inside])


def _numbered(look: psycopg.Connection) -> int:
    return one_of(look, _NUMBERED, WRITER)


def _sent(look: psycopg.Connection) -> int:
    return one_of(look, _SENT, topic_of(WRITER))
