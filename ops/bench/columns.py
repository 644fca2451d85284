"""Which variants stand in which column, and what is inside each."""

from __future__ import annotations

from collections.abc import Mapping

from django.core.management import call_command
from django.db import connections

from ops.bench import applying, people, writes
from ops.bench.report import Line, Section
from ops.bench.rivals import tables
from ops.bench.timing import Timing, race

COMMITS = 100  # of each variant in one round of (b)
SINGLES = 100  # transactions of one event in one round of (c)


def measure(size: int, rounds: int, seed: int) -> list[Section]:
    """Enter ``size`` people everywhere and race each column's variants in shuffled rounds."""
    call_command("migrate", verbosity=0)
    tables.create()
    numbers = list(range(size))
    people.enter(numbers)
    writes.enter_rivals(numbers)
    with connections["owner"].cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    tenth = size // 10
    # The statements of (a) bypass the fold: nobody else may touch those people afterwards.
    by_statement, by_command, applied = (
        numbers[:tenth],
        numbers[tenth : 2 * tenth],
        numbers[2 * tenth :],
    )
    return [
        _projection(race(writes.projection_variants(by_statement), rounds, seed)),
        _command(race(writes.command_variants(by_command, COMMITS), rounds, seed)),
        *_applying(applied, min(rounds, 5), seed),
    ]


def _projection(timings: Mapping[str, Timing]) -> Section:
    plain = timings["plain UPDATE"]
    inside = {
        "plain UPDATE": "one UPDATE of one column by primary key, through Django's cursor, 100 in a transaction",
        "projection statement": "ending the open version and inserting the next (partial unique index, exclusion "
        "constraint, primary key, change index, guard trigger), 100 in a transaction",
    }
    lines = [Line(name, t, t.median / plain.median, inside[name]) for name, t in timings.items()]
    ratio = timings["projection statement"].median / plain.median
    return Section(
        "(a) Projection statement against a plain UPDATE",
        "≤ 2.6×",
        f"{ratio:.2f}×",
        ratio <= 2.6,
        lines,
    )


def _command(timings: Mapping[str, Timing]) -> Section:
    rival = timings["save(), django-pghistory + outbox"]
    inside = {
        "committed UPDATE": "one UPDATE, committed",
        "save(), no history": "get(), save(), committed; all columns written",
        "save(), django-simple-history": "get(), save(), a history row, committed",
        "save(), django-pghistory + outbox": "get(), save(), a trigger's history row, an outbox row with all values, committed",
        "change_customer()": "checking values, head locked, stale check, stamp, event sealed (AES-256-GCM) and kept, "
        "versions, head, outbox entry, committed",
    }
    lines = [Line(name, t, t.median / rival.median, inside[name]) for name, t in timings.items()]
    ratio = timings["change_customer()"].median / rival.median
    return Section(
        "(b) The whole committed command, ratios to django-pghistory + outbox",
        "≤ 1.5×",
        f"{ratio:.2f}×",
        ratio <= 1.5,
        lines,
    )


def _applying(numbers: list[int], rounds: int, seed: int) -> list[Section]:
    batches = applying.Batches(applying.Stream(numbers), rounds, SINGLES)
    first = race({"batched apply (1,000)": batches.first_apply}, rounds, seed)
    again = race({"the same batch again": batches.replay}, rounds, seed)
    single = race({"one by one": batches.one_by_one}, rounds, seed)
    with connections["owner"].cursor() as cursor:
        cursor.execute('GRANT CREATE ON SCHEMA public TO "bench"')
    applying.make_copies()
    rows = batches.written_all()
    applying.forget(rows)
    copied = race({"COPY": applying.copy_variant(rows)}, rounds, seed)
    batched, copy = first["batched apply (1,000)"], copied["COPY"]
    one, replay = single["one by one"], again["the same batch again"]
    times, share = one.median / batched.median, copy.median / batched.median
    part = replay.median / batched.median
    applied = (
        "decode, open the ciphertext, cursor fenced, event, secret, key, number kept, head locked and saved, "
        "fast path of the fold, versions ended and inserted, committed"
    )
    return [
        Section("(c) Batched apply against one by one", "≥ 10×", f"{times:.1f}×", times >= 10, [
            Line("batched apply (1,000)", batched, 1.0, applied + "; a detail changed of 1,000 customers"),
            Line("one by one", one, times, "the same, a transaction for each event"),
        ]),
        Section("(c) Batched apply against COPY into the same indexes", "≥ 33 %", f"{share:.0%}", share >= 0.33, [
            Line("batched apply (1,000)", batched, 1.0, applied),
            Line("COPY", copy, share, "the rows that a batch inserts (events, secrets, numbers, versions) into tables "
                 "with the same columns, indexes, constraints and contents; ends of versions, heads and keys not included"),
        ]),
        Section("(d) A replayed batch", "≤ 25 % of its first apply, 0 rows", f"{part:.0%}", part <= 0.25, [
            Line("batched apply (1,000)", batched, 1.0, applied),
            Line("the same batch again", replay, part, "received once more below the cursor: decoded, offered to the "
                 "event table, nothing written"),
        ]),
    ]  # fmt: skip
