"""Values that look alike, and instants that clocks on walls do not have: equal at all locations."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg import sql

from consumers.tests.origins import signed
from customers import commands, queries
from events.digest import take
from events.envelope import Event, canonical, normal, to_raw
from events.errors import InvalidValue
from events.models import Conflict, DeadLetter
from events.stamp import to_micros
from events.streams import Item
from events.tests.making import event
from tests.databases import TestDatabases, name_of
from tests.releases import Place, exchange, places
from tests.replaying import assert_replay_is_live
from tests.sample.models import OFFER, Offer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.feature("S04")]

LAMP, ANN = UUID(int=0xA), UUID(int=0xB)
NFC = "Ångström"
NFD = unicodedata.normalize("NFD", NFC)
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def two(databases: TestDatabases) -> Iterator[list[Place]]:
    """loc2 and loc3 with one offer; their servers' clocks show different local times."""
    with places(databases, loc2=OFFER, loc3=OFFER) as found:
        for place, zone in zip(found, ("Europe/Berlin", "America/St_Johns"), strict=True):
            in_zone(place, zone)
        titled = {"title": {"title": "Lamp"}, "note": {"note": "dim"}}
        found[0].write(LAMP, titled, type="sample.offer_made", is_new=True)
        exchange(*found)
        yield found


def in_zone(place: Place, zone: str) -> None:
    owner = place._urls.owner
    statement = sql.SQL("ALTER DATABASE {} SET timezone TO {}")
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute(statement.format(sql.Identifier(name_of(owner)), sql.Literal(zone)))


def agreed(two: list[Place]) -> list[tuple[Any, ...]]:
    """Let both take what the other has; check that they are equal, return all offers."""
    exchange(*two)
    found = []
    for place in two:
        with place.here():
            assert_replay_is_live()
            columns = ("valid_from", "title", "amount", "currency", "note")
            rows = list(Offer.objects.order_by("valid_from").values_list(*columns))
            items = sorted(Conflict.objects.values_list("item_id", flat=True))
            found.append((rows, items, take()))
    assert found[0] == found[1]
    assert found[0][2].is_settled
    return found[0][0]


def from_elsewhere(two: list[Place], *made: Event) -> None:
    """Let loc2 have sent ``made``, whatever its own code would have made of them."""
    runs = two[0].stream()
    items = [item for run in runs for item in run.items]
    last = runs[-1].head
    new = [Item(0, to_raw(one), b"") for one in made]
    run = signed("loc2", new, last.chain, len(items))
    two[1].take([run])


def foreign(two: list[Place], values: dict[str, Any], **given: Any) -> Event:
    ts = two[0].now + 1_000_000
    given = {"entity_uid": LAMP, "origin": "loc2", "type": "sample.offer_changed", **given}
    return replace(event(ts, values, **given), event_id=UUID(int=ts), tx=UUID(int=ts))


def test_trap_20_null_takes_a_value_away_and_absent_leaves_it(two: list[Place]) -> None:
    here, there = two
    here.write(LAMP, {"note": {"note": None}})
    there.write(LAMP, {"title": {"title": "Torch"}})
    assert agreed(two)[-1][1:] == ("Torch", None, None, None)
    assert canonical({"note": None}) != canonical({})


def test_trap_20_empty_text_is_a_value_and_null_is_none(two: list[Place]) -> None:
    here, there = two
    here.write(LAMP, {"note": {"note": ""}})
    there.write(LAMP, {"title": {"title": None}})
    assert agreed(two)[-1][1:] == (None, None, None, "")
    (made,) = here.write(LAMP, {"note": {"note": None}})
    assert made.set == {"note": {"note": None}}, "it was not so already"
    assert agreed(two)[-1][-1] is None


def test_trap_20_of_a_customer_empty_text_removes_a_value(two: list[Place]) -> None:
    here, _ = two
    with here.here():
        commands.create_customer(
            {"surname": "Ek", "phone": "1", "email": ""}, here.author(), entity_uid=ANN
        )
        commands.change_customer(ANN, {"phone": " "}, replace(here.author(), now=here.now + 9))
        assert queries.get(ANN).values == {"surname": "Ek"}


def test_trap_20_one_name_composed_or_not_is_one_value(two: list[Place]) -> None:
    here, there = two
    assert NFC != NFD
    here.write(LAMP, {"note": {"note": NFC}})
    there.write(LAMP, {"note": {"note": NFD}})
    rows = agreed(two)
    assert [row[-1] for row in rows] == ["dim", NFC]
    with here.here():
        assert not Conflict.objects.exists()


def test_trap_20_what_another_location_sent_is_kept_as_it_sent_it(two: list[Place]) -> None:
    _, there = two
    from_elsewhere(two, foreign(two, {"title": {"title": NFD}}, knowing={"title": None}))
    with there.here():
        assert Offer.objects.get(is_current=True).title == NFD
        assert_replay_is_live()


def test_trap_20_decimals_are_text_of_one_scale(two: list[Place]) -> None:
    here, there = two
    assert normal(Decimal("1.00")) == "1.00"
    with pytest.raises(TypeError):
        normal(1.0)
    # Where the origin let another scale through, all agree nevertheless.
    here.write(LAMP, {"price": {"amount": "1.0", "currency": "EUR"}})
    there.write(LAMP, {"price": {"amount": "1.00", "currency": "EUR"}})
    rows = agreed(two)
    assert {row[2] for row in rows if row[2] is not None} == {Decimal("1.00")}
    (made,) = there.write(LAMP, {"price": {"amount": Decimal("2.50"), "currency": "EUR"}})
    assert made.set["price"] == {"amount": "2.50", "currency": "EUR"}
    agreed(two)


def test_trap_20_the_hour_that_comes_twice_is_two_hours(two: list[Place]) -> None:
    here, there = two
    first = datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN)
    again = first.replace(fold=1)
    here.write(LAMP, {"note": {"note": "from the beginning"}}, effective=1)
    here.write(LAMP, {"title": {"title": "second"}}, effective=to_micros(again))
    there.write(LAMP, {"title": {"title": "first"}}, effective=to_micros(first))
    for place in two:
        place.now = to_micros(datetime(2027, 6, 1, tzinfo=UTC))
    backdated = [to_micros(moment) for moment in (first, again)]
    assert backdated[1] - backdated[0] == 3_600_000_000
    # The hour that no clock shows is an instant like every other.
    skipped = datetime(2027, 3, 28, 2, 30, tzinfo=BERLIN)
    there.write(LAMP, {"title": {"title": "spring"}}, effective=to_micros(skipped))
    rows = agreed(two)
    begun = [row[0] for row in rows]
    assert begun == sorted(begun)
    assert skipped.astimezone(UTC) in begun


def test_trap_20_what_happened_before_1970_is_a_value_not_a_time(two: list[Place]) -> None:
    here, there = two
    born = {"surname": "Old", "dob": "1935-02-28"}
    with here.here():
        commands.create_customer(born, here.author(), entity_uid=ANN)
    here.number()
    with pytest.raises(InvalidValue) as refused:
        here.write(LAMP, {"note": {"note": "x"}}, effective=-1)
    assert refused.value.field == "effective"
    agreed(two)
    with there.here():
        assert queries.get(ANN).values == born
        assert queries.customer_as_of(ANN, datetime(1950, 1, 1, tzinfo=UTC)) is None


@pytest.mark.parametrize("member", ["ts", "effective"])
def test_trap_20_bytes_of_before_1970_are_no_event_and_stop_nothing(
    two: list[Place], member: str
) -> None:
    good = foreign(two, {"title": {"title": "Torch"}})
    raw = canonical({**json.loads(to_raw(replace(good, event_id=UUID(int=1)))), member: -1})
    runs = two[0].stream()
    run = signed("loc2", [Item(0, raw, b""), Item(0, to_raw(good), b"")], runs[-1].head.chain, 1)
    two[1].take([run])
    with two[1].here():
        assert [letter.seq for letter in DeadLetter.objects.all()] == [2]
        assert Offer.objects.get(is_current=True).title == "Torch"
