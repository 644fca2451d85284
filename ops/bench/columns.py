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
    inside = {
        "plain UPDATE": "one UPDATE of one column by primary key through Django's cursor, 100 in a "
        "transaction",
        "projection statement": "ending the open version and inserting the next: partial unique "
        "index, exclusion constraint, primary key, change index, guard; 100 in a transaction",
    }
    title = "(a) Projection statement against a plain UPDATE"
    return _against(title, ("plain UPDATE", "projection statement", 2.6), timings, inside)


def _command(timings: Mapping[str, Timing]) -> Section:
    inside = {
        "committed UPDATE": "one UPDATE, committed",
        "save(), no history": "get(), save(), committed; all columns written",
        "save(), django-simple-history": "get(), save(), a history row, committed",
        "save(), django-pghistory + outbox": "get(), save(), a trigger's history row, an outbox "
        "row with all values, committed",
        "change_customer()": "values checked, head locked, stale check, stamp, event sealed "
        "(AES-256-GCM) and kept, versions, head, outbox entry, committed",
    }
    title = "(b) The whole committed command, ratios to django-pghistory + outbox"
    rival = "save(), django-pghistory + outbox"
    return _against(title, (rival, "change_customer()", 1.5), timings, inside)


def _against(
    title: str,
    goal: tuple[str, str, float],
    timings: Mapping[str, Timing],
    inside: Mapping[str, str],
) -> Section:
    rival, ours, most = goal
    unit = timings[rival].median
    ratio = timings[ours].median / unit
    lines = [Line(name, t, t.median / unit, inside[name]) for name, t in timings.items()]
    return Section(title, f"≤ {most}×", f"{ratio:.2f}×", ratio <= most, lines)


_APPLIED = (
    "decoded, ciphertext opened, cursor fenced, event, secret, key and number kept, head locked "
    "and saved, fold by the fast path, versions ended and inserted, committed"
)


def _applying(numbers: list[int], rounds: int, seed: int) -> list[Section]:
    batches = applying.Batches(applying.Stream(numbers), rounds, SINGLES)
    first = race({"": batches.first_apply}, rounds, seed)[""]
    again = race({"put back": batches.replay, "repeated": batches.repeat}, rounds, seed)
    single = race({"": batches.one_by_one}, rounds, seed)[""]
    with connections["owner"].cursor() as cursor:
        cursor.execute('GRANT CREATE ON SCHEMA public TO "bench"')
    applying.make_copies()
    copy = race({"": applying.copy_variant(batches.written())}, rounds, seed)[""]
    times, share = single.median / first.median, copy.median / first.median
    part, dropped = (again[name].median / first.median for name in ("put back", "repeated"))
    batched = Line("batched apply (1,000)", first, 1.0, f"{_APPLIED}; 1,000 customers' phones")
    one = Line("one by one", single, times, "the same, a transaction for each event")
    copied = Line(
        "COPY",
        copy,
        share,
        "the rows that a batch writes, new or changed (events, secrets, numbers, keys, heads, "
        "versions), into tables with the same columns, indexes, constraints and contents",
    )
    replayed = Line(
        "the same batch, cursor put back",
        again["put back"],
        part,
        "chain and head verified, decoded, found to be here; nothing written",
    )
    repeated = Line(
        "the same batch again",
        again["repeated"],
        dropped,
        "the consumer's own call: behind the cursor, its head compared; nothing written",
    )
    return [
        Section("(c) Batched apply against one by one", "≥ 10×", f"{times:.1f}×", times >= 10,
                [batched, one]),
        Section("(c) Batched apply against COPY into the same indexes", "≥ 33 %", f"{share:.0%}",
                share >= 0.33, [batched, copied]),
        Section("(d) A replayed batch", "≤ 25 % of its first apply, 0 rows", f"{part:.0%}",
                part <= 0.25, [batched, replayed, repeated]),
    ]  # fmt: skip
