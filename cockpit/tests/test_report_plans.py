"""The report reads its period and no more: every statement of it goes by an index."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import Access, Member
from events.models import Event
from ops.databases import DatabaseUrls

pytestmark = [pytest.mark.django_db, pytest.mark.feature("R03")]

MANY, DAYS = 50_000, 90
DAY = 86_400_000_000  # µs
START = 1_760_000_000_000_000  # 2025-10-09
# Three months of events, a kilobyte each, and of lines.
FILL = f"""
INSERT INTO events_event (event_id, origin, entity_uid, type, actor, ts, tx, tx_index, raw,
                          recorded_at)
SELECT gen_random_uuid(), 'loc' || 1 + n % 3, gen_random_uuid(), 'type ' || n % 4,
       gen_random_uuid(), {START} + n * ({DAYS * DAY} / {MANY}), gen_random_uuid(), 0,
       decode(repeat(md5(n::text), 60), 'hex'), now()
FROM generate_series(0, {MANY - 1}) AS n;
INSERT INTO accounts_access (at, kind, location, route, outcome, request_id, address_hmac)
SELECT to_timestamp({START // 10**6} + n * ({DAYS * 86_400} / {MANY}::float)), 'search', 'loc1',
       'customers/', 'ok', md5(n::text), ''
FROM generate_series(0, {MANY - 1}) AS n;
ANALYZE events_event;
ANALYZE accounts_access;
"""


def test_each_statement_finds_its_period_by_an_index(
    client: Client, fresh_database: DatabaseUrls
) -> None:
    client.force_login(Member.objects.create_user("provider", roles=["provider"]))
    asked = {"start": "2025-12-01", "end": "2025-12-07"}
    with CaptureQueriesContext(connection) as captured:
        client.get("/reports/transactions", asked)
        assert client.get("/reports/transactions.csv", asked).getvalue()
    tables = {Event._meta.db_table: "ts", Access._meta.db_table: "at"}
    statements = [
        (table, each["sql"])
        for each in captured
        for table in tables
        if table in each["sql"] and not each["sql"].startswith("INSERT")  # the download's own line
    ]
    assert len(statements) == 4  # counts and a page of lines, of either
    with psycopg.connect(fresh_database.owner) as session:
        session.execute(FILL)
        for table, statement in statements:
            answer = session.execute(f"EXPLAIN (FORMAT JSON) {statement}").fetchone()
            assert answer is not None
            read = [node for node in nodes(answer[0][0]["Plan"]) if "Index Cond" in node]
            column = tables[table]
            conditions = [node["Index Cond"] for node in read]
            assert len(conditions) == 1, json.dumps(answer[0], indent=1)
            assert f"({column} >= " in conditions[0]
            assert f"({column} < " in conditions[0]
            rows = sum(node["Plan Rows"] for node in read)
            assert rows < MANY / DAYS * 10  # of seven days, not of three months


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield each step of a plan."""
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)
