"""Locks of heads."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction

from events import guard, heads, sql

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.feature("S02")]

FIRST, MIDDLE, LAST = UUID(int=1), UUID(int=2), UUID(int=3)


def lock(uids: Sequence[UUID]) -> str:
    """Lock heads in a transaction of its own, as a writer does; return how it ended."""
    try:
        with transaction.atomic():
            sql.execute(guard.SET_MARK)
            heads.lock(uids, dict.fromkeys(uids, "offer")).rows()
    except DatabaseError as exc:
        return type(exc).__name__
    finally:
        connection.close()
    return "locked"


# In this database: others may wait on the same server.
_WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


def wait_for_waiting(count: int) -> None:
    end = time.monotonic() + 30
    waiting = 0
    while waiting < count:
        assert time.monotonic() < end
        rows = sql.execute(_WAITING).rows()
        waiting = rows[0][0]


def test_trap_16_writers_of_the_same_records_never_wait_in_a_circle():
    parameters = {**connection.get_connection_params(), "cursor_factory": psycopg.Cursor}
    with psycopg.connect(**parameters) as other, ThreadPoolExecutor(2) as writers:
        other.execute(guard.SET_MARK)
        other.execute(
            "INSERT INTO events_entityhead (entity_uid, kind, first_ts, last_ts, is_deleted,"
            " has_open_voids, has_closing_conflicts, memo, state)"
            " VALUES (%s, 'offer', 0, 0, false, false, false, '{}', '')",
            [MIDDLE],
        )
        forwards = writers.submit(lock, [FIRST, MIDDLE, LAST])  # has the first, waits in the middle
        wait_for_waiting(1)
        backwards = writers.submit(lock, [LAST, FIRST])
        wait_for_waiting(2)
        other.rollback()
        assert [forwards.result(30), backwards.result(30)] == ["locked", "locked"]
