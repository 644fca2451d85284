from __future__ import annotations

import json
from uuid import UUID

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection, transaction
from psycopg import sql

from consumers.digests import DigestKeeper
from consumers.pull import Peer
from consumers.tests.origins import (
    Elsewhere,
    number_all,
    person,
    stream_of,
    three_people,
    three_people_of,
)
from events import contacts, digest, guard, streams
from events.digest import take
from events.models import EntityHead
from tests.by_hand import by_hand as tables_by_hand
from tests.by_hand import owner_url

NOBODY: dict[str, Peer] = {}
pytestmark = pytest.mark.django_db(transaction=True)


# What keeps a row from standing twice: whether it is a constraint, and its name.
_UNIQUE = """
SELECT c.oid IS NOT NULL, i.indexrelid::regclass::text
FROM pg_index i LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid
WHERE i.indrelid = 'customers_entity'::regclass AND (i.indisunique OR i.indisexclusion)
"""


def by_hand(statement: str, *values: UUID) -> None:
    """Write past record(), as only someone who knows its mark can."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(guard.SET_MARK)
        cursor.execute(statement, values)


@pytest.fixture
def here():
    three_people(Elsewhere("loc1"))
    number_all("loc1", streams.own_key())


def test_equal_at_two_locations_in_another_order(databases, applier):
    two = three_people_of(databases)
    three = stream_of(databases, "loc3", lambda pen: pen.create(9, surname="Other"))
    found = []
    for order in ([*two, *three], [*three, *two]):
        databases.renew()
        applier._positions.clear()
        for run in order:
            applier.apply(run)
        found.append(take())
    assert found[0] == found[1]
    assert found[0].heads == {"loc2": [1, 5], "loc3": [1, 1]}
    assert found[0].is_settled


def test_an_empty_location_and_one_with_people_differ(databases, here):
    full = take()
    databases.renew()
    assert take().value != full.value


@pytest.mark.parametrize(
    "statement",
    [
        (
            'UPDATE customers_entitydetail SET value = \'{"value": "Bob"}\' WHERE'
            " detail_code = 'name'"
            " AND entity_uid = %s"
        ),
        (
            "UPDATE customers_entitydetail SET valid_to = valid_to + interval '1 µs'"
            " WHERE valid_to IS NOT NULL AND entity_uid <> %s"
        ),
        "DELETE FROM customers_entity WHERE entity_uid = %s",
        "UPDATE customers_entity SET event_id = gen_random_uuid() WHERE entity_uid = %s",
        (
            "INSERT INTO events_conflict SELECT 'x', %s, 'g', gen_random_uuid(), gen_random_uuid(),"
            " false, NULL"
        ),
    ],
)
def test_every_edit_by_hand_shows(here, statement):
    before = take().value
    by_hand(statement.replace("µs", "microsecond"), person(1))
    assert take().value != before


def test_trap_41_a_row_that_stands_three_times_does_not_cancel_out(here):
    """A XOR of the rows would see only one of them."""
    before = take().value
    with psycopg.connect(owner_url()) as owner:
        for kind, name in owner.execute(_UNIQUE).fetchall():
            drop = "ALTER TABLE customers_entity DROP CONSTRAINT {}" if kind else "DROP INDEX {}"
            owner.execute(sql.SQL(drop).format(sql.Identifier(name)))
    columns = "entity_uid, valid_from, valid_to, entity_type, display_name, event_id, hashdiff"
    double = (
        f"INSERT INTO customers_entity ({columns}) SELECT {columns} FROM customers_entity"
        " CROSS JOIN generate_series(1, 2) WHERE entity_uid = %s"
    )
    tables_by_hand("customers_entity", double, [person(1)])
    assert take().value != before


@pytest.mark.feature("S06")
def test_buckets_add_up_and_one_names_its_entities(here):
    before = take()
    sums = [int.from_bytes(before.buckets[at : at + 16], "big") for at in range(0, 65536, 16)]
    assert len(sums) == digest.BUCKETS
    assert f"{sum(sums) % 2**128:032x}" == before.value
    for number in (1, 2):
        by_hand("UPDATE customers_entity SET display_name = 'x' WHERE entity_uid = %s",
                person(number))  # fmt: skip
        after = take()
        assert digest.differing_buckets(before.buckets, after.buckets) == [
            person(number).int % digest.BUCKETS
        ]
        before = after
    assert digest.differing_buckets(before.buckets, before.buckets) == []


def test_not_settled_while_an_event_has_no_number():
    three_people(Elsewhere("loc1"))
    assert not take().is_settled
    number_all("loc1", streams.own_key())
    assert take().is_settled


def test_not_settled_while_something_is_parked(here):
    by_hand("UPDATE events_entityhead SET parked_reason = 'test' WHERE entity_uid = %s", person(1))
    assert EntityHead.objects.filter(parked_reason="test").exists()
    found = take()
    assert not found.is_settled
    contacts.note_digest(found)
    assert contacts.own_digest()[:2] == (found.value, {})


def test_sample_module_is_compared_too():
    assert "sample_offer" in digest.compared_tables()
    assert digest.compared_tables()[-1] == "events_conflict"


def test_keyed_by_the_network(here, settings):
    before = take().value
    settings.NETWORK_SECRET = settings.WRAPPING_KEY
    assert take().value != before


def test_keeper_takes_it_when_the_streams_rest(here):
    keeper = DigestKeeper(NOBODY.__getitem__)
    keeper.step()
    assert contacts.own_digest()[0] == ""
    keeper.step()
    assert contacts.own_digest()[0] == take().value
    Elsewhere("loc1").change(1, phone="5")
    number_all("loc1", streams.own_key())
    keeper.step()
    keeper._not_before = 0
    keeper.step()
    assert contacts.own_digest()[0] == take().value


def test_keeper_takes_it_anew_when_nothing_is_parked_any_more(here):
    """The streams have not moved, but now it may be compared."""
    park = "UPDATE events_entityhead SET parked_reason = {} WHERE entity_uid = %s"
    by_hand(park.format("'test'"), person(1))
    keeper = DigestKeeper(NOBODY.__getitem__)
    for is_parked in (True, False):
        if not is_parked:
            by_hand(park.format("NULL"), person(1))
        keeper._not_before = 0
        keeper.step()
        keeper.step()
        assert (contacts.own_digest()[1] == {}) == is_parked


def test_command(here, capsys):
    call_command("state_digest")
    said = json.loads(capsys.readouterr().out)
    assert said == {"value": take().value, "heads": {"loc1": [1, 5]}, "is_settled": True}
