"""A location's rows against a second fold: the SQL oracle of the tests (I4, I5, I8)."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Final
from uuid import UUID

from django.db import connection

from events.envelope import Event
from events.fold import live
from events.stamp import to_micros
from tests import oracle

_VERSIONS: Final = """
SELECT 'entity', '', entity_uid, valid_from, valid_to, event_id,
       jsonb_build_object('entity_type', entity_type, 'display_name', display_name,
                          'merged_into', merged_into)::text
FROM customers_entity WHERE entity_uid = ANY(%(uids)s)
UNION ALL
SELECT 'detail', detail_code, entity_uid, valid_from, valid_to, event_id,
       jsonb_build_object('value', value)::text
FROM customers_entitydetail WHERE entity_uid = ANY(%(uids)s)
"""
_CONFLICTS: Final = """
SELECT entity_uid, item_id, "group", earlier, later, is_closing, resolved_by
FROM events_conflict WHERE entity_uid = ANY(%(uids)s)
"""

Versions = Mapping[UUID, set[oracle.VersionRow]]
Items = Mapping[UUID, set[oracle.Item]]


def wrong_rows(events: Mapping[UUID, Sequence[Event]]) -> Iterator[str]:
    """Yield a sentence for each customer whose rows are not what the oracle makes of its events."""
    versions, items = _versions(list(events)), _items(list(events))
    said = oracle.verdicts([(oracle.CUSTOMER, of_one) for of_one in events.values()])
    for (uid, of_one), verdict in zip(events.items(), said, strict=True):
        if versions[uid] != verdict.versions:
            yield f"I5: the versions of {uid} are not the oracle's"
        if items[uid] != verdict.items:
            yield f"I8: the conflicts of {uid} are not the oracle's"
        yield from (f"I4: {sentence} of {uid}" for sentence in _broken(versions[uid], of_one))


def _versions(uids: list[UUID]) -> Versions:
    found: dict[UUID, set[oracle.VersionRow]] = defaultdict(set)
    with connection.cursor() as cursor:
        cursor.execute(_VERSIONS, {"uids": uids})
        for table, code, uid, begins, ends, event_id, text in cursor.fetchall():
            values = oracle.plain(json.loads(text))
            row = oracle.VersionRow(table, code, to_micros(begins), _micros(ends), values, event_id)
            found[uid].add(row)
    return found


def _items(uids: list[UUID]) -> Items:
    found: dict[UUID, set[oracle.Item]] = defaultdict(set)
    with connection.cursor() as cursor:
        cursor.execute(_CONFLICTS, {"uids": uids})
        for uid, *item in cursor.fetchall():
            found[uid].add(oracle.Item(*item))
    return found


def _broken(versions: Iterable[oracle.VersionRow], events: Iterable[Event]) -> Iterator[str]:
    """While a record is open its rows follow each other; one is current, at most."""
    by_key: dict[tuple[str, str], list[oracle.VersionRow]] = defaultdict(list)
    for version in sorted(versions, key=lambda version: version.valid_from):
        by_key[version.table, version.code].append(version)
    has_closed = any("deleted" in event.set for event in live(events))
    for (table, _), lines in by_key.items():
        for before, after in pairwise(lines):
            if before.valid_to is None or before.valid_to > after.valid_from:
                yield f"versions in {table} overlap"
            elif table == "entity" and not has_closed and before.valid_to != after.valid_from:
                yield f"a gap between versions in {table}"


def _micros(instant: datetime | None) -> int | None:
    return None if instant is None else to_micros(instant)
