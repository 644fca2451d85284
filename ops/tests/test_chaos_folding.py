"""Rows and conflicts that are not what the second fold makes of the events are found."""

from __future__ import annotations

from uuid import UUID

import psycopg
import pytest

from customers.tests.apart import disputed
from events import log
from ops.chaos.folding import wrong_rows
from tests.by_hand import by_hand, owner_url

pytestmark = [pytest.mark.django_db(transaction=True)]

DETAILS, OVERLAPPING = "customers_entitydetail", "customers_entitydetail_no_overlap"


@pytest.fixture
def uid() -> UUID:
    """A record with two versions of its phone number, and a conflict about it."""
    return disputed()


def found(uid: UUID) -> set[str]:
    return set(wrong_rows(log.load([uid])))


def test_what_is_right_passes(uid: UUID) -> None:
    assert found(uid) == set()


@pytest.mark.parametrize(
    ("table", "statement"),
    [
        (DETAILS, """UPDATE {} SET value = '{"value": "33"}' WHERE entity_uid = %s"""),
        (DETAILS, "UPDATE {} SET event_id = gen_random_uuid() WHERE entity_uid = %s"),
        (DETAILS, "DELETE FROM {} WHERE entity_uid = %s"),
        ("customers_entity", "UPDATE {} SET display_name = 'x' WHERE entity_uid = %s"),
    ],
)
def test_a_wrong_version_is_found(uid: UUID, table: str, statement: str) -> None:
    by_hand(table, statement.replace("{}", table, 1), [uid])
    assert f"I5: the versions of {uid} are not the oracle's" in found(uid)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM events_conflict WHERE entity_uid = %s",
        "UPDATE events_conflict SET resolved_by = gen_random_uuid() WHERE entity_uid = %s",
    ],
)
def test_a_missing_conflict_is_found(uid: UUID, statement: str) -> None:
    by_hand("events_conflict", statement, [uid])
    assert found(uid) == {f"I8: the conflicts of {uid} are not the oracle's"}


def test_an_overlap_is_found(uid: UUID) -> None:
    with psycopg.connect(owner_url()) as owner:
        owner.execute(f"ALTER TABLE {DETAILS} DROP CONSTRAINT {OVERLAPPING}")
    later = "valid_to + interval '1 s' WHERE entity_uid = %s AND valid_to IS NOT NULL"
    by_hand(DETAILS, f"UPDATE {DETAILS} SET valid_to = {later}", [uid])
    assert f"I4: versions in detail overlap of {uid}" in found(uid)
