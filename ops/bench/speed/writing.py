"""Writing 200 times a second while all workers of two locations run, until it is readable there."""

from __future__ import annotations

import random
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from uuid import UUID

import psycopg
from django.db import connections

from customers.kinds import ENTITY
from events.drafting import Draft
from events.envelope import Fields
from events.recorder import record
from ops.bench import people
from ops.bench.report import Section
from ops.bench.speed import shares
from ops.bench.speed.changing import TYPE, details
from ops.bench.speed.kept import Cells
from ops.bench.speed.stage import READER, WRITER, Stage
from tests.locations import Location

A_SECOND, LEAST_RATE = 200, 190
THREADS = 4
WARM = 200  # writes that are not counted
WRITE_GOAL, END_GOAL = 0.050, 2.0  # seconds at p99
LOOK_SECONDS = 0.01
HEADINGS = ("line", "writes", "p50", "p95", "p99", "most", "inside")
_RECORD = (
    "record() from its call to its return, one of the nine details of one customer each; 200 a "
    "second at random moments, by four threads of this process; beside it web server, sequencer "
    "and consumer of both locations, their PostgreSQL and an embedded broker"
)
_DUE = "the same from when the write was due: waiting for a thread counts, too"
_END = (
    "from the call of record() until the other location's transaction that applied the event is "
    "seen from outside, looked for every 10 ms: numbered, sent, consumed, verified, folded"
)
_NUMBERS = "SELECT event_id, seq FROM events_eventnumber WHERE origin = %s AND event_id = ANY(%s)"
_APPLIED = "SELECT coalesce(max(seq), 0) FROM events_received WHERE origin = %s"


@dataclass(frozen=True, slots=True)
class Write:
    """When one write was due, called and done (s), and its event; None if it made none."""

    due: float
    called: float
    done: float
    event_id: UUID | None


def measure(stage: Stage) -> list[Section]:
    """Write at one location, and watch the other one apply."""
    with stage.locations(WRITER, READER, has_broker=True) as locations:
        stage.at(locations, WRITER)
        locations.start()
        _write(stage, WARM)
        locations.wait_until_equal(600)
        watch = _Watch(locations[READER])
        with shares.by_process(stage.processes(locations)) as busy, watch:
            writes = _write(stage, stage.sizes.written)
            locations.wait_until_equal(600)
        arrived = _arrived(locations[WRITER], writes, watch)
    return _sections(writes, arrived, busy)


def _write(stage: Stage, wanted: int) -> list[Write]:
    """Write at random moments, whether or not what went before is done."""
    dice = random.Random(17)
    values = details(5)
    due, plan = time.perf_counter(), []
    for _ in range(wanted):
        due += dice.expovariate(A_SECOND)
        plan.append((due, people.uid(dice.randrange(stage.sizes.people)), next(values)))
    jobs, lock = iter(plan), threading.Lock()
    with ThreadPoolExecutor(THREADS) as pool:
        parts = [pool.submit(_work, jobs, lock) for _ in range(THREADS)]
        return [write for part in parts for write in part.result()]


def _work(
    jobs: Iterator[tuple[float, UUID, dict[str, Fields]]], lock: threading.Lock
) -> list[Write]:
    done: list[Write] = []
    try:
        while True:
            with lock:
                job = next(jobs, None)
            if job is None:
                return done
            due, uid, values = job
            time.sleep(max(0.0, due - time.perf_counter()))
            called = time.perf_counter()
            events = record([Draft(uid, TYPE, values, ENTITY)], people.author(WRITER))
            done.append(Write(due, called, time.perf_counter(),
                              events[0].event_id if events else None))  # fmt: skip
    finally:
        connections.close_all()  # this thread's


class _Watch:
    """Looks up to which number a location has applied the writer's stream, and when."""

    def __init__(self, location: Location) -> None:
        self._location = location
        self._seen: list[tuple[int, float]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def seen(self) -> Iterator[tuple[int, float]]:
        """Yield numbers, ever greater, and when each was seen to be applied."""
        yield from self._seen

    def _run(self) -> None:
        with psycopg.connect(self._location.database.owner, autocommit=True) as connection:
            last = 0
            while True:
                is_last = self._stop.is_set()
                row = connection.execute(_APPLIED, [WRITER]).fetchone()
                if row is not None and row[0] > last:
                    last = row[0]
                    self._seen.append((last, time.perf_counter()))
                if is_last:
                    return
                self._stop.wait(LOOK_SECONDS)


def _arrived(writer: Location, writes: Sequence[Write], watch: _Watch) -> list[float]:
    """Return the seconds of each write until it was applied at the other location."""
    called = {write.event_id: write.called for write in writes if write.event_id}
    numbers = dict(writer.rows(_NUMBERS, [WRITER, list(called)]))
    waiting = sorted((seq, called[event_id]) for event_id, seq in numbers.items())
    seconds, at = [], 0
    for last, seen in watch.seen():
        while at < len(waiting) and waiting[at][0] <= last:
            seconds.append(seen - waiting[at][1])
            at += 1
    if len(seconds) != len(called):
        raise RuntimeError(f"{len(called) - len(seconds)} writes did not arrive.")
    return seconds


def _sections(
    writes: Sequence[Write], arrived: Sequence[float], busy: shares.Shares
) -> list[Section]:
    rate = len(writes) / (max(w.done for w in writes) - min(w.due for w in writes))
    where = Cells(["cores kept busy", "", "", "", "", "", shares.in_words(busy)])
    calls = [write.done - write.called for write in writes]
    since_due = [write.done - write.due for write in writes]
    return [
        _section("record() at 200 writes/s", WRITE_GOAL, rate,
                 [_line("record()", calls, _RECORD), _line("since it was due", since_due, _DUE)],
                 _at(calls, 99), where),
        _section("End to end at 200 writes/s", END_GOAL, rate,
                 [_line("end to end", arrived, _END)], _at(arrived, 99), where),
    ]  # fmt: skip


def _section(
    title: str, goal: float, rate: float, lines: list[Cells], p99: float, where: Cells
) -> Section:
    # Who does not keep up with the writes that are due has measured another load.
    is_met = p99 < goal and rate > LEAST_RATE
    return Section(
        title,
        f"p99 < {_ms(goal)}",
        f"p99 {_ms(p99)} at {rate:,.0f} writes/s",
        is_met,
        lines if is_met else [*lines, where],
        HEADINGS,
    )


def _line(name: str, seconds: Sequence[float], inside: str) -> Cells:
    percents = [_ms(_at(seconds, percent)) for percent in (50, 95, 99)]
    return Cells([name, f"{len(seconds):,}", *percents, _ms(max(seconds)), inside])


def _at(seconds: Sequence[float], percent: int) -> float:
    return statistics.quantiles(seconds, n=100, method="inclusive")[percent - 1]


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms"
