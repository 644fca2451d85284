"""What can be done to a customer, and that each of it is what a replay would give."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from uuid import UUID, uuid4

import pytest

from customers import commands, queries
from customers.commands import Basis, When
from customers.differences import diff
from customers.models import Entity, EntityDetail, SearchKey
from events import log, recovery
from events.errors import AlreadyExists, InvalidValue, Recovering, Stale, Unknown
from events.models import Event, Outbox
from events.recorder import Author
from events.stamp import to_datetime
from tests.replaying import assert_replay_is_live

pytestmark = pytest.mark.django_db

START = 1_800_000_000_000_000  # µs
MINUTE = 60_000_000
_ticks = count()


def author(at: int | None = None) -> Author:
    return Author(uuid4(), "loc1", at or START + next(_ticks) * MINUTE, "request-1")


@pytest.fixture(autouse=True)
def _replay_is_live(db: None) -> Iterator[None]:
    yield
    assert_replay_is_live()


@pytest.fixture
def ana() -> UUID:
    uid, _ = commands.create_customer({"surname": "Kovač", "name": "Ana"}, author())
    return uid


def history(uid: UUID, code: str | None) -> list[object]:
    return [line.value for line in queries.history(uid) if line.detail_code == code]


class TestCreate:
    @pytest.mark.feature("C01")
    @pytest.mark.parametrize("values", [
        {"surname": "Kovač"}, {"name": "Ana"}, {"dob": "1984-03-17"}, {"document_number": "A 1"},
    ])  # fmt: skip
    def test_one_value_is_enough(self, values: dict[str, str]) -> None:
        uid, is_new = commands.create_customer(values, author())
        assert is_new
        assert queries.get(uid).values == values

    @pytest.mark.feature("C01")
    def test_an_institution(self) -> None:
        uid, _ = commands.create_customer({"company": "Acme"}, author(), entity_type="institution")
        assert queries.get(uid).entity_type == "INSTITUTION"
        assert queries.get(uid).display_name == "Acme"

    @pytest.mark.parametrize("values", [{}, {"surname": ""}, {"surname": "  ", "name": None}])
    def test_without_any_value_is_refused(self, values: dict[str, str]) -> None:
        with pytest.raises(InvalidValue):
            commands.create_customer(values, author())
        assert not Event.objects.exclude(origin="genesis").exists()

    @pytest.mark.parametrize(("field", "value"), [
        ("dob", "17.03.1984"), ("dob", "1984-02-30"), ("email", "ana"), ("surname", "a\x00b"),
        ("surname", "x" * 301), ("owner", "ana"), ("shoe_size", "40"), ("surname", 7),
    ])  # fmt: skip
    def test_a_bad_value_is_named(self, field: str, value: object) -> None:
        with pytest.raises(InvalidValue) as refused:
            commands.create_customer({"name": "Ana", field: value}, author())
        assert refused.value.field == field

    @pytest.mark.feature("T03")
    def test_the_same_again_makes_no_event(self, ana: UUID) -> None:
        before = Event.objects.count()
        again = commands.create_customer(
            {"name": "Ana", "surname": "Kovač"}, author(), entity_uid=ana
        )
        assert again == (ana, False)
        commands.change_customer(ana, {"surname": "Novak"}, author())
        assert commands.create_customer(
            {"name": "Ana", "surname": "Kovač"}, author(), entity_uid=ana
        ) == (ana, False)
        assert commands.create_customer(
            {"name": "Ana", "surname": "Novak"}, author(), entity_uid=ana
        ) == (ana, False)
        assert Event.objects.count() == before + 1

    def test_a_uid_that_stands_for_other_data_is_refused(self, ana: UUID) -> None:
        with pytest.raises(AlreadyExists):
            commands.create_customer({"name": "Eva"}, author(), entity_uid=ana)


class TestChange:
    @pytest.mark.feature("T01")
    @pytest.mark.scd2
    def test_closes_one_version_and_opens_the_next(self, ana: UUID) -> None:
        commands.change_customer(ana, {"surname": "Novak"}, author())
        old, new = EntityDetail.objects.filter(entity_uid=ana, detail_code="surname").order_by(
            "valid_from"
        )
        assert (old.value, new.value) == ({"value": "Kovač"}, {"value": "Novak"})
        assert old.valid_to == new.valid_from
        assert (old.is_current, new.is_current) == (False, True)
        assert history(ana, "name") == [{"value": "Ana"}]

    @pytest.mark.feature("T01")
    def test_created_and_updated_are_the_first_and_last_stamp(self, ana: UUID) -> None:
        commands.change_customer(ana, {"phone": "1"}, author(START + 10_000 * MINUTE))
        customer = queries.get(ana)
        [first, last] = sorted(event.ts for event in log.load([ana])[ana])
        assert (customer.created_at, customer.updated_at) == (to_datetime(first), to_datetime(last))

    @pytest.mark.feature("T03")
    def test_of_equal_values_writes_nothing(self, ana: UUID) -> None:
        events, entries = Event.objects.count(), Outbox.objects.count()
        assert not commands.change_customer(ana, {"surname": " Kovač ", "phone": None}, author())
        assert not commands.scd2_upsert_detail(ana, author(), "SURNAME", "Kovac\u030c")
        assert (Event.objects.count(), Outbox.objects.count()) == (events, entries)

    @pytest.mark.feature("T03")
    def test_upserts_create_then_change_then_rest(self) -> None:
        uid = uuid4()
        assert commands.scd2_upsert_entity(uid, author(), display_name="Alice")
        assert not commands.scd2_upsert_entity(uid, author(), display_name="Alice")
        assert commands.scd2_upsert_detail(uid, author(), "EMAIL", "alice@example.com")
        assert not commands.scd2_upsert_detail(uid, author(), "email", "alice@example.com")
        assert queries.get(uid).display_name == "Alice"

    def test_of_nothing_known_is_refused(self) -> None:
        with pytest.raises(Unknown):
            commands.change_customer(uuid4(), {"name": "Eva"}, author())

    def test_takes_a_value_away(self, ana: UUID) -> None:
        commands.change_customer(ana, {"surname": None}, author())
        assert queries.get(ana).values == {"name": "Ana"}
        assert not SearchKey.objects.filter(entity_uid=ana, detail_code="surname").exists()

    @pytest.mark.feature("A06")
    def test_of_a_stale_form_is_refused_with_both_values(self, ana: UUID) -> None:
        seen = queries.get(ana)
        commands.change_customer(ana, {"surname": "Novak"}, author())
        with pytest.raises(Stale) as stale:
            commands.change_customer(
                ana, {"surname": "Horvat"}, author(), basis=Basis(known=seen.stamps)
            )
        assert stale.value.groups == {"surname": ({"value": "Horvat"}, {"value": "Novak"})}
        with pytest.raises(Stale):
            commands.change_customer(ana, {"phone": "1"}, author(), basis=Basis(if_match=seen.etag))
        assert commands.change_customer(
            ana, {"phone": "1"}, author(), basis=Basis(known=seen.stamps)
        )
        assert queries.get(ana).values["surname"] == "Novak"

    @pytest.mark.feature("T09")
    def test_that_took_effect_earlier(self, ana: UUID) -> None:
        commands.change_customer(ana, {"surname": "Novak"}, author(START + 500 * MINUTE))
        known_at = to_datetime(START + 600 * MINUTE)
        commands.change_customer(
            ana, {"surname": "Horvat"}, author(START + 700 * MINUTE),
            when=When(effective=START + 400 * MINUTE),
        )  # fmt: skip
        assert history(ana, "surname") == [
            {"value": "Kovač"}, {"value": "Horvat"}, {"value": "Novak"},
        ]  # fmt: skip
        at = to_datetime(START + 450 * MINUTE)
        now_known = queries.customer_as_of(ana, at)
        then_known = queries.customer_as_of(ana, at, known_at)
        assert now_known is not None
        assert then_known is not None
        assert now_known.values["surname"] == "Horvat"
        assert then_known.values["surname"] == "Kovač"

    @pytest.mark.feature("T09")
    def test_cannot_take_effect_in_the_future(self, ana: UUID) -> None:
        with pytest.raises(InvalidValue) as refused:
            commands.change_customer(
                ana, {"name": "Eva"}, author(START + MINUTE * 800),
                when=When(effective=START + 10**6 * MINUTE),
            )  # fmt: skip
        assert refused.value.field == "effective"


class TestDelete:
    @pytest.mark.feature("C02")
    def test_closes_every_version_and_keeps_the_history(self, ana: UUID) -> None:
        before = history(ana, "surname")
        assert commands.delete_customer(ana, author())
        assert queries.get(ana).is_deleted
        assert queries.get(ana).display_name == "Ana Kovač"
        assert not Entity.objects.filter(entity_uid=ana, valid_to__isnull=True).exists()
        assert not SearchKey.objects.filter(entity_uid=ana).exists()
        assert history(ana, "surname") == before
        assert not commands.delete_customer(ana, author())

    @pytest.mark.feature("C02")
    def test_is_undone_with_what_was_entered_meanwhile(self, ana: UUID) -> None:
        commands.delete_customer(ana, author())
        commands.change_customer(ana, {"phone": "1"}, author())
        assert queries.get(ana).values == {}
        assert commands.restore_customer(ana, author())
        assert queries.get(ana).values == {"name": "Ana", "surname": "Kovač", "phone": "1"}
        assert not commands.restore_customer(ana, author())

    @pytest.mark.feature("S07")
    def test_is_not_said_to_be_undone_before_it_is_back_after_a_restore(self, ana: UUID) -> None:
        recovery.begin()
        with pytest.raises(Recovering):
            commands.restore_customer(ana, author())  # open here: its deletion is elsewhere

    @pytest.mark.feature("T04")
    def test_shows_in_a_diff(self, ana: UUID) -> None:
        start = queries.get(ana).updated_at
        assert start is not None
        commands.change_customer(ana, {"surname": "Novak"}, author())
        middle = queries.get(ana).updated_at
        assert middle is not None
        changes = {change.detail_code: change for change in diff(start, middle)}
        assert changes["surname"].before == {"value": "Kovač"}
        assert changes["surname"].after == {"value": "Novak"}
        commands.delete_customer(ana, author())
        end = queries.get(ana).updated_at
        assert end is not None
        assert {c.detail_code for c in diff(middle, end)} == {None, "surname", "name"}
