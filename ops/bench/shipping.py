"""Columns (e) and (f): telling Elasticsearch what happened, and what that costs whoever writes."""

from __future__ import annotations

import functools
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from django.conf import settings
from django.core.management import call_command
from django.db import connection, connections, transaction

from consumers.ship_status import streams_behind
from customers import commands
from events.sequencer import number_pass
from events.streams import own_key
from ops.bench import people
from ops.bench.report import Section
from ops.elasticsearch_server import ElasticsearchError, ElasticsearchServer
from ops.ports import free_port

CHECKOUT: Final = Path(__file__).resolve().parent.parent.parent
# People of its own: what other columns do to theirs bypasses the fold.
PEOPLE: Final = range(1_000_000, 1_010_000)
MADE: Final = len(PEOPLE)  # events that are entered; what is more are copies of the first
MARKS: Final = (10_000, 100_000, 1_000_000)
LEAST_RATE: Final = 5_000.0  # documents per second
MOST_GROWTH: Final = 1.1
MOST_DROP: Final = 0.05
COMMITS, PAIRS = 200, 8  # of one round of (f), and how many such for one round of the others
PATIENCE_SECONDS: Final = 1800.0
LOOK_SECONDS: Final = 0.02

# Copies of numbered events under new ids and the next numbers: what shipping reads, and no more.
_COPY: Final = """
WITH made AS MATERIALIZED (
    SELECT gen_random_uuid() AS new_id, e.*, n.chain,
           %(after)s + row_number() OVER (ORDER BY n.seq) AS new_seq
    FROM events_eventnumber n JOIN events_event e USING (event_id)
    WHERE n.origin = %(own)s AND n.seq <= %(made)s ORDER BY n.seq LIMIT %(wanted)s
), kept AS (
    INSERT INTO events_event (event_id, origin, entity_uid, type, subject_uid, actor, ts, tx,
                              tx_index, raw, recorded_at)
    SELECT new_id, origin, entity_uid, type, subject_uid, actor, ts, tx, tx_index, raw, recorded_at
    FROM made
), numbered AS (
    INSERT INTO events_eventnumber (origin, epoch, seq, event_id, chain)
    SELECT origin, 1, new_seq, new_id, chain FROM made
)
INSERT INTO events_streamhead (origin, epoch, seq, chain, signature)
SELECT origin, 1, new_seq, chain, '' FROM made ORDER BY new_seq DESC LIMIT 1
"""
_HEAD: Final = "SELECT coalesce(max(seq), 0) FROM events_eventnumber WHERE origin = %s"
_SHIPPED: Final = """
SELECT coalesce(sum(number), 0) FROM consumers_shipcursor WHERE stream NOT IN ('access', 'status')
"""


@dataclass(frozen=True, slots=True)
class Mark:
    """How it stood when so many documents were shipped, or events applied."""

    documents: int
    seconds: float
    megabytes: float
    rate: float

    def cells(self) -> Sequence[str]:
        """Return its line of the report."""
        return (f"{self.documents:,}", f"{self.seconds:.1f}", f"{self.rate:,.0f}",
                f"{self.megabytes:.1f}")  # fmt: skip

    def next(self, documents: int, seconds: float, megabytes: float) -> Mark:
        """Return how it stands later."""
        rate = (documents - self.documents) / (seconds - self.seconds)
        return Mark(documents, seconds, megabytes, rate)


@dataclass(frozen=True, slots=True)
class Pace:
    """The writes per second of every round, with the shipper or without, or how they compare."""

    name: str
    rates: Sequence[float]
    inside: str

    def cells(self) -> Sequence[str]:
        """Return its line of the report."""
        figures = (statistics.median(self.rates), min(self.rates), max(self.rates))
        digits = 0 if figures[0] > 10 else 2
        middle, least, most = (f"{figure:,.{digits}f}" for figure in figures)
        return self.name, f"{middle} [{least}..{most}]", self.inside


def measure(documents: int, rounds: int, seed: int) -> list[Section]:
    """Ship ``documents``, then write with and without the shipper; [] without Elasticsearch."""
    with tempfile.TemporaryDirectory() as directory:
        server = ElasticsearchServer(Path(directory) / "elasticsearch", free_port())
        try:
            server.start()
        except ElasticsearchError as exc:
            print(f"Shipping is not measured: {exc}")
            return []
        try:
            return _measure(server.url, documents, rounds, seed)
        finally:
            server.destroy()


def _measure(host: str, documents: int, rounds: int, seed: int) -> list[Section]:
    call_command("migrate", verbosity=0)
    _fill(documents)
    with connections["owner"].cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    os.environ["ELASTICSEARCH_HOST"] = host
    return [*_shipping(documents), _writing(rounds, seed)]


def _fill(most: int) -> None:
    """Let there be at least ``most`` numbered events of this location."""
    people.enter(PEOPLE)
    _number_all()
    while (here := _one(_HEAD, [settings.LOCATION_ID])) < most:
        with connection.cursor() as cursor:
            cursor.execute(
                _COPY,
                {"after": here, "own": settings.LOCATION_ID, "made": MADE, "wanted": most - here},
            )


def _number_all() -> None:
    count = 1
    while count:
        with transaction.atomic(), connection.cursor() as cursor:
            count = number_pass(cursor, settings.LOCATION_ID, own_key())


def _shipping(most: int) -> list[Section]:
    with _process("consume", "ship") as shipper:
        marks = list(_marks(shipper, [mark for mark in MARKS if mark <= most]))
    rate = marks[-1].rate
    growth = marks[-1].megabytes / marks[0].megabytes
    headings = ("documents", "s", "documents/s since the mark before", "MB (RSS of the shipper)")
    return [
        Section(
            "(e) Shipping to Elasticsearch",
            f"≥ {LEAST_RATE:,.0f} documents/s",
            f"{rate:,.0f} documents/s",
            rate >= LEAST_RATE,
            marks,
            headings,
        ),
        Section(
            "(e) Memory of the shipper",
            f"flat from {marks[0].documents:,} to {marks[-1].documents:,}",
            f"{marks[0].megabytes:.1f} MB, {marks[-1].megabytes:.1f} MB",
            growth <= MOST_GROWTH,
            marks,
            headings,
        ),
    ]


def _marks(shipper: subprocess.Popen[bytes], wanted: Sequence[int]) -> Iterator[Mark]:
    """Yield how it stood at each number of documents, from when the first chunk was there."""
    _wait_until(functools.partial(_has_shipped, 1))
    begun = time.perf_counter()
    last = Mark(_one(_SHIPPED), 0.0, 0.0, 0.0)
    for mark in wanted:
        _wait_until(functools.partial(_has_shipped, mark))
        here, seconds = _one(_SHIPPED), time.perf_counter() - begun
        last = last.next(here, seconds, megabytes(shipper.pid))
        yield last


def _has_shipped(documents: int) -> bool:
    return _one(_SHIPPED) >= documents


def _writing(rounds: int, seed: int) -> Section:
    shuffle = random.Random(seed).shuffle
    order = [True, False]
    rates: dict[bool, list[float]] = {True: [], False: []}
    picked = random.Random(7)
    with _process("run_sequencer"), _process("consume", "ship") as shipper:
        for number in range(rounds * PAIRS + 1):  # the first one warms up and is not counted
            shuffle(order)
            for is_on in order:
                rate = _rate_beside(shipper, picked, is_on=is_on)
                if number:
                    rates[is_on].append(rate)
    # What else the machine does changes from minute to minute: neighbours are compared.
    ratios = [on / off for on, off in zip(rates[True], rates[False], strict=True)]
    lower, ratio, upper = statistics.quantiles(ratios, n=4)
    drop = 1 - ratio
    inside = f"change_customer(), {COMMITS} commits a round; sequencer and Elasticsearch running"
    return Section(
        "(f) Writing while shipping",
        f"≤ {MOST_DROP:.0%} fewer writes per second",
        f"{drop:.1%} fewer" if drop > 0 else "not fewer",
        drop <= MOST_DROP,
        [
            Pace("not shipping", rates[False], f"{inside}; the shipper is stopped (SIGSTOP)"),
            Pace("shipping", rates[True], f"{inside}, and the shipper"),
            Pace("ratio", ratios, f"of neighbours; half of them are {lower:.2f} to {upper:.2f}"),
        ],
        ("variant", "writes per second", "inside"),
    )


def _rate_beside(shipper: subprocess.Popen[bytes], picked: random.Random, *, is_on: bool) -> float:
    """Return the writes per second beside a shipper that has caught up, or that is stopped."""
    _wait_until(lambda: not streams_behind())
    if is_on:
        return _rate(picked)
    shipper.send_signal(signal.SIGSTOP)
    try:
        return _rate(picked)
    finally:
        shipper.send_signal(signal.SIGCONT)


def _rate(picked: random.Random) -> float:
    begun = time.perf_counter()
    for _ in range(COMMITS):
        uid = people.uid(picked.choice(PEOPLE))
        commands.change_customer(uid, {"phone": f"+{time.time_ns()}"}, people.author())
    return COMMITS / (time.perf_counter() - begun)


@contextmanager
def _process(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Yield a management command that runs beside; it is ended as a supervisor would."""
    process = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "manage.py", *arguments],
        cwd=CHECKOUT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "sins.settings"},
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def _one(query: str, values: Sequence[str] = ()) -> int:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return int(cursor.fetchone()[0])


def megabytes(pid: int) -> float:
    """Return the resident memory of a process."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    [line] = [line for line in text.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) / 1024


def _wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        if time.monotonic() > deadline:
            raise RuntimeError(f"Not shipped after {PATIENCE_SECONDS:.0f} s.")
        time.sleep(LOOK_SECONDS)
