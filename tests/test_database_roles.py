"""The role tests run as is the one a location runs as: it owns nothing and may not rewrite."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, connection, transaction

from tests.databases import TestDatabases, name_of

pytestmark = pytest.mark.django_db


def fetch(statement: str) -> list[tuple[object, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


def test_role_is_the_applications() -> None:
    ((is_super, may_create_roles, may_create_databases),) = fetch(
        "SELECT rolsuper, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = current_user"
    )
    assert not is_super
    assert not may_create_roles
    assert not may_create_databases


def test_role_owns_no_table() -> None:
    assert fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    assert fetch("SELECT tablename FROM pg_tables WHERE tableowner = current_user") == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events_event SET origin = 'x'",
        "DELETE FROM events_event",
        "TRUNCATE events_event CASCADE",
        "DELETE FROM events_eventnumber",
        "UPDATE events_eventnumber SET seq = 1",
        "UPDATE events_eventsecret SET ct = ''",
        "ALTER TABLE events_event DISABLE TRIGGER ALL",
        "DROP TABLE events_event",
        "CREATE TABLE mine ()",
    ],
)
def test_log_cannot_be_rewritten(statement: str) -> None:
    with (
        pytest.raises(DatabaseError, match=r"permission denied|must be owner"),
        transaction.atomic(),
    ):
        fetch(statement)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("attempt", [1, 2])
def test_transactional_test_gets_a_fresh_copy(attempt: int) -> None:
    assert fetch("SELECT count(*) FROM accounts_member") == [(0,)]
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO django_session VALUES ('x', 'y', now())")
    assert fetch("SELECT count(*) FROM django_session") == [(1,)], attempt


def test_copies_are_of_different_names(databases: TestDatabases) -> None:
    one, two = databases.copy(), databases.copy()
    assert name_of(one.owner) != name_of(two.owner)
    databases.drop(one)
    databases.drop(two)
