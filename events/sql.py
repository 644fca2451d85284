"""How the hot path talks to PostgreSQL: prepared statements, sent without waiting for each answer.

Django's cursors put parameters into the text, so every statement is planned anew and every one is a
round trip. A write here is a dozen statements whose parameters are known in two steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import DEFAULT_DB_ALIAS, connection, connections, transaction

Rows = list[tuple[Any, ...]]


class Answer:
    """The rows of a statement; reading them waits for what was sent."""

    def __init__(self, cursor: psycopg.Cursor[tuple[Any, ...]]) -> None:
        self._cursor = cursor

    def rows(self) -> Rows:
        """Return all rows."""
        with connection.wrap_database_errors:
            return self._cursor.fetchall()


def execute(query: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> Answer:
    """Send one statement, prepared; inside ``pipelined()`` its answer comes later."""
    database = connections[DEFAULT_DB_ALIAS]  # the proxy looks for it anew at each use
    database.ensure_connection()
    database.validate_no_broken_transaction()
    cursor = psycopg.Cursor(database.connection)
    with database.wrap_database_errors:
        cursor.execute(query, parameters, prepare=True)
    return Answer(cursor)


@contextmanager
def snapshot() -> Iterator[None]:
    """Let all that is read inside see one moment; inside a transaction, see that transaction's."""
    if connection.in_atomic_block:
        yield
        return
    with transaction.atomic():
        execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield


@contextmanager
def pipelined() -> Iterator[None]:
    """Send statements without waiting; an error among them is raised at the end, or when read."""
    connection.ensure_connection()
    with connection.wrap_database_errors, connection.connection.pipeline():
        yield
