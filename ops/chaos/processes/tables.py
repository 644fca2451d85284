"""The rows that are the same at all locations, byte for byte, and where they differ (I1, I11)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from ops.chaos.processes.history import DIVERGENT, Failure
from ops.chaos.processes.stack import ChaosStack, everywhere

MOST_NAMED: Final = 5

# Versioned tables, of whatever module; beside them what else is the same everywhere.
_VERSIONED: Final = """
SELECT table_name::text FROM information_schema.columns WHERE table_schema = 'public'
GROUP BY table_name
HAVING array_agg(column_name::text) @> ARRAY['entity_uid', 'valid_from', 'valid_to', 'hashdiff']
ORDER BY 1
"""
OTHERS: Final = (
    "events_conflict",
    "events_event",
    "events_eventsecret",
    "events_subjectkey",
    "events_eventnumber",
    "customers_searchkey",
)
# When a location learnt of something, and the serial numbers of rows, are its own.
_HASHES: Final = (
    "SELECT md5((to_jsonb(t) - 'recorded_at' - 'id')::text) AS h,"
    " coalesce(to_jsonb(t) ->> 'entity_uid', to_jsonb(t) ->> 'event_id') AS what FROM {table} t"
)
_SUM: Final = "SELECT count(*), md5(string_agg(h, '' ORDER BY h)) FROM ({hashes}) AS hashed"

Sums = Mapping[str, tuple[int, str]]  # {table: (rows, hash of all of them)}


def sums(stack: ChaosStack, name: str) -> Sums:
    """Return how many rows each table has at a location, and one hash of them."""
    return {table: _sum(stack, name, table) for table in _tables(stack, name)}


def compare(stack: ChaosStack) -> tuple[Sums, list[Failure]]:
    """Return what all locations hold, and where they do not hold the same (I1)."""
    found = everywhere(stack, lambda name: sums(stack, name))
    names = list(found)
    first = found[names[0]]
    failures = [
        Failure(DIVERGENT, f"I1: {table} differs between {names[0]} and {name}: {what}")
        for name in names[1:]
        for table in first
        if found[name][table] != first[table]
        for what in [_difference(stack, names[0], name, table)]
    ]
    return first, failures


def changed(before: Sums, after: Sums) -> Iterator[Failure]:
    """Yield what a restart has changed (I11)."""
    for table, said in before.items():
        if after[table] != said:
            yield Failure(DIVERGENT, f"I11: {table} was {said} before the restart: {after[table]}")


def _tables(stack: ChaosStack, name: str) -> list[str]:
    return [*(table for (table,) in stack.rows(name, _VERSIONED)), *OTHERS]


def _sum(stack: ChaosStack, name: str, table: str) -> tuple[int, str]:
    ((count, value),) = stack.rows(name, _SUM.format(hashes=_HASHES.format(table=table)))
    return count, value or ""


def _difference(stack: ChaosStack, one: str, other: str, table: str) -> str:
    query = _HASHES.format(table=table)
    here, there = (set(stack.rows(name, query)) for name in (one, other))
    named = sorted({str(what) for _, what in here ^ there})[:MOST_NAMED]
    return f"{len(here - there)} rows only here, {len(there - here)} only there: {named}"
