"""The digest of very many entities, taken as each location takes it once an hour."""

from __future__ import annotations

import time
from collections.abc import Sequence

from django.db import connections

from events import digest
from ops.bench.applying import columns_of
from ops.bench.report import Section
from ops.bench.speed import shares
from ops.bench.speed.kept import Cells
from ops.bench.speed.stage import Stage, progress, tidy

GOAL = 30.0  # seconds
TABLES = ("customers_entity", "customers_entitydetail")
HEADINGS = ("entities", "rows", "s", "µs a row", "inside")
INSIDE = (
    "the digest that heartbeats carry, in one snapshot: each row's text, HMAC-SHA256, summed in "
    "4,096 buckets. Entities of nine details; rows copied by SQL under new uids, their indexes "
    "dropped, which the digest does not use"
)
_CONSTRAINTS = """
SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass AND contype IN ('p', 'u', 'x')
"""
_INDEXES = "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = %s::regclass"


def measure(stage: Stage) -> list[Section]:
    """Take the digest of as many entities as there are details to be."""
    with stage.database():
        _multiply(-(-stage.sizes.details // stage.sizes.people))
        entities, rows = (_count(tables) for tables in (TABLES[:1], TABLES))
        with shares.by_process(stage.processes()) as busy:
            begun = time.perf_counter()
            digest.take()
            seconds = time.perf_counter() - begun
    figures = (f"{entities:,}", f"{rows:,}", f"{seconds:.2f}", f"{seconds / rows * 1e6:.2f}")
    lines = [Cells([*figures, INSIDE])]
    if seconds >= GOAL:
        lines.append(Cells(["", "", "", "", f"cores kept busy: {shares.in_words(busy)}"]))
    figure = f"{seconds:.1f} s for {entities:,}"
    goal = f"1,000,000 entities in < {GOAL:.0f} s"
    return [Section("State digest", goal, figure, seconds < GOAL, lines, HEADINGS)]


def _count(tables: Sequence[str]) -> int:
    counts = ", ".join(f"(SELECT count(*) FROM {table})" for table in tables)
    with connections["owner"].cursor() as cursor:
        cursor.execute(f"SELECT {counts}")
        return sum(cursor.fetchone())


def _multiply(times: int) -> None:
    """Let there be ``times`` as many entities, as the owner: the guard is for those who record."""
    meter = progress(times, "parts of the entities copied")
    with connections["owner"].cursor() as cursor:
        for table in TABLES:
            _bare(table)
        for part in range(1, times):
            for table in TABLES:
                names = columns_of(table)
                values = names.replace(
                    '"entity_uid"', "md5(entity_uid::text || %(part)s)::uuid"
                )  # fmt: skip
                cursor.execute(
                    f"INSERT INTO {table} ({names}) SELECT {values} FROM bench_{table}",
                    {"part": f" {part}"},
                )
            meter.show(part)
    meter.clear()
    tidy()


def _bare(table: str) -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute(f"CREATE TABLE bench_{table} AS SELECT * FROM {table}")
        cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute(_CONSTRAINTS, [table])
        for (name,) in cursor.fetchall():
            cursor.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
        cursor.execute(_INDEXES, [table])
        for (name,) in cursor.fetchall():
            cursor.execute(f"DROP INDEX {name}")
