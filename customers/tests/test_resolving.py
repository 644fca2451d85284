"""Settling conflicts: each choice, who is late, what a record does together; live is replay."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from unittest import mock
from uuid import UUID, uuid4

import pytest

from accounts.authors import now_us
from customers import commands, queries
from customers.commands import Basis
from customers.resolving import Choice, Outcome, choice_of, settle
from customers.tests.apart import (
    closed_beside_edits,
    delete_elsewhere,
    disputed,
    head_of,
    id_of,
    item_of,
    items_of,
    write_elsewhere,
)
from customers.tests.browsing import change, close, enter
from events import items
from events.drafting import Author
from events.errors import InvalidValue, NotAlone, Settled, Stale, TooLarge, UnknownItem
from events.heads import Head
from events.models import Event
from tests.replaying import assert_replay_is_live

pytestmark = [pytest.mark.django_db, pytest.mark.feature("S05")]
ME = UUID(int=7)


@pytest.fixture(autouse=True)
def _replay_is_live(db: None) -> Iterator[None]:
    yield
    assert_replay_is_live()


def choose(uid: UUID, choice: str, value: Any = None, **given: Any) -> Outcome:
    """Settle the only item of a record."""
    (outcome,) = chosen((id_of(uid), choice, value), **given)
    return outcome


def chosen(*choices: tuple[Any, ...], **given: Any) -> list[Outcome]:
    author = Author(ME, "loc1", now_us(), "request-1")
    return settle([Choice(*choice) for choice in choices], author, **given)


def phone(uid: UUID) -> Any:
    return queries.get(uid).values.get("phone")


def events() -> int:
    return Event.objects.exclude(origin="genesis").count()


def test_to_keep_is_an_event_without_values() -> None:
    uid = disputed()
    assert choose(uid, "keep").error is None
    item = item_of(uid)
    assert (phone(uid), item.outline.state, choice_of(item)) == ("22", "settled", "keep")
    assert item.resolution is not None
    assert (item.resolution.set, item.resolution.actor) == ({}, ME)
    assert item.resolution.type == "customers.conflict_resolved"


def test_to_swap_sets_the_other_value() -> None:
    uid = disputed()
    assert choose(uid, "swap").error is None
    item = item_of(uid)
    assert (phone(uid), item.outline.state, choice_of(item)) == ("11", "settled", "swap")
    assert [side.is_kept for side in item.sides] == [True, False]


@pytest.mark.parametrize(
    ("value", "stands"), [("33", "33"), (" 33 ", "33"), ("", None), (None, None)]
)
def test_another_value_is_entered_as_in_the_form(value: str | None, stands: str | None) -> None:
    uid = disputed()
    assert choose(uid, "enter", value).error is None
    assert phone(uid) == stands
    assert choice_of(item_of(uid)) == "enter"


@pytest.mark.parametrize(("group", "values", "value", "stands"), [
    ("type", ("INSTITUTION", None), "institution", "INSTITUTION"),
    ("display_name", ("Ray", "Lord"), "R", "R"), ("display_name", ("Ray", "Lord"), "", None),
])  # fmt: skip
def test_what_is_no_detail_can_be_entered_too(
    group: str, values: tuple[str, str], value: str, stands: str | None
) -> None:
    uid = enter(surname="Rayleigh")
    seen = head_of(uid)
    for origin, said in zip(("loc2", "loc3"), values, strict=True):
        write_elsewhere(seen, {group: said}, origin)
    assert choose(uid, "enter", value).error is None
    assert head_of(uid).memo.state[group] == {"value": stands}


@pytest.mark.parametrize(("group", "mine", "theirs", "value"), [
    ("email", "a@b.c", "d@e.f", "nowhere"), ("dob", "1980-01-01", "1980-01-02", "1980-02-30"),
    ("phone", "1", "2", "x" * 301), ("phone", "1", "2", 7), ("owner", None, None, "ann"),
])  # fmt: skip
def test_a_wrong_value_is_told_and_nothing_is_stored(
    group: str, mine: str | None, theirs: str | None, value: Any
) -> None:
    uid = disputed(group, mine or str(uuid4()), theirs or str(uuid4()))
    before = events()
    error = choose(uid, "enter", value).error
    assert isinstance(error, InvalidValue)
    assert error.field == "value"
    assert (events(), item_of(uid).outline.state) == (before, "open")


def test_where_the_record_shows_neither_value_there_is_no_other() -> None:
    uid = disputed()
    change(uid, phone="33")
    assert [side.is_kept for side in item_of(uid).sides] == [False, False]
    error = choose(uid, "swap").error
    assert isinstance(error, InvalidValue)
    assert error.field == "choice"
    assert choose(uid, "enter", "11").error is None
    assert phone(uid) == "11"


def test_the_kept_value_is_the_shown_one_not_the_later_one() -> None:
    uid = disputed()
    change(uid, phone="11")
    assert [side.is_kept for side in item_of(uid).sides] == [True, False]
    assert choose(uid, "swap").error is None
    assert phone(uid) == "22"


class TestClosing:
    def test_all_edits_one_deletion_overlooked_are_one_item(self) -> None:
        uid = closed_beside_edits("phone", "email", "notes")
        item = item_of(uid)
        assert item.group is None
        assert [side.group for side in item.sides] == ["deleted", "phone", "email", "notes"]
        assert [side.is_kept for side in item.sides] == [True, False, False, False]
        assert items.count(items.Filter(items.OPEN)) == 1

    def test_it_stays_closed(self) -> None:
        uid = closed_beside_edits("phone", "email")
        assert choose(uid, "keep").error is None
        assert queries.get(uid).is_deleted
        assert (item_of(uid).outline.state, choice_of(item_of(uid))) == ("settled", "keep")
        assert items.count(items.Filter(items.OPEN)) == 0

    def test_or_comes_back_with_the_edits_beneath(self) -> None:
        uid = closed_beside_edits("phone", "email")
        assert choose(uid, "swap").error is None
        values = queries.get(uid).values
        assert (values["phone"], values["email"]) == ("new phone", "new email")
        assert choice_of(item_of(uid)) == "swap"
        assert [side.is_kept for side in item_of(uid).sides] == [False, True, True]

    def test_one_that_was_opened_meanwhile_is_kept_open_or_closed_again(self) -> None:
        kept, swapped = closed_beside_edits(), closed_beside_edits()
        for uid in (kept, swapped):
            commands.restore_customer(uid, Author(None, "loc1", now_us()))
            assert [side.is_kept for side in item_of(uid).sides] == [False, True]
        assert choose(kept, "keep").error is choose(swapped, "swap").error is None
        assert not queries.get(kept).is_deleted
        assert queries.get(swapped).is_deleted

    def test_a_merge_is_undone_for_the_record_that_was_merged_away(self) -> None:
        uid = enter(surname="Rayleigh")
        seen = head_of(uid)
        write_elsewhere(seen, {"phone": "1"})
        write_elsewhere(seen, {"merged_into": str(uuid4())}, "loc3")
        assert queries.get(uid).merged_into is not None
        assert choose(uid, "swap").error is None
        assert queries.get(uid).merged_into is None
        assert phone(uid) == "1"

    def test_any_id_of_its_rows_finds_it(self) -> None:
        uid = closed_beside_edits("phone", "email")
        first, second = item_of(uid).outline.open_ids
        (outcome,) = chosen((second, "keep"))
        assert outcome.error is None
        assert id_of(uid) == first
        assert item_of(uid).outline.open_ids == []

    def test_a_later_edit_opens_it_again(self) -> None:
        uid = enter(surname="Rayleigh")
        seen = head_of(uid)
        delete_elsewhere(seen, "loc3")
        write_elsewhere(seen, {"phone": "1"})
        first = id_of(uid)
        choose(uid, "keep")
        write_elsewhere(seen, {"email": "a@b.c"}, "loc4")
        item = item_of(uid)
        assert (item.outline.state, item.outline.item_id) == ("open", min(first, *(
            row.item_id for row in item.outline.rows
        )))  # fmt: skip
        assert len(item.outline.open_ids) == 1
        assert choose(uid, "keep").error is None

    def test_there_is_no_value_to_enter(self) -> None:
        error = choose(closed_beside_edits(), "enter", "x").error
        assert isinstance(error, InvalidValue)

    def test_what_it_was_decided_by_has_changed_beneath(self) -> None:
        uid = closed_beside_edits()
        basis = Basis(known=head_of(uid).memo.stamps)
        write_elsewhere(head_of(uid), {"email": "a@b.c"})
        for choice in ("keep", "swap"):
            assert isinstance(choose(uid, choice, bases={uid: basis}).error, Stale)


def test_trap_22_two_who_deleted_and_opened_a_record_apart() -> None:
    uid = enter(surname="Rayleigh")
    close(uid)
    seen = head_of(uid)
    commands.restore_customer(uid, Author(None, "loc1", now_us()))
    close(uid)
    write_elsewhere(seen, {"deleted": False}, type="customers.entity_restored")
    item = next(item for item in items_of(uid) if item.group == "deleted")
    assert not queries.get(uid).is_deleted
    (outcome,) = chosen((item.outline.item_id, "swap"))
    assert outcome.error is None
    assert queries.get(uid).is_deleted
    error = chosen((item.outline.item_id, "enter", "x"))[0].error
    assert isinstance(error, Settled)


class TestLate:
    def test_who_is_late_is_told_and_nothing_is_stored(self) -> None:
        uid = disputed()
        choose(uid, "swap")
        before = events()
        for choice in ("keep", "swap"):
            assert isinstance(choose(uid, choice).error, Settled)
        assert (events(), phone(uid)) == (before, "11")

    def test_an_item_that_is_none_is_told(self) -> None:
        (outcome,) = chosen(("0" * 64, "keep"))
        assert isinstance(outcome.error, UnknownItem)
        assert outcome.entity_uid is None

    def test_a_form_of_before_is_stale_though_it_keeps(self) -> None:
        uid = disputed()
        basis = Basis(known=head_of(uid).memo.stamps)
        change(uid, phone="33")
        for choice in ("keep", "swap", "enter"):
            error = choose(uid, choice, "44", bases={uid: basis}).error
            assert isinstance(error, Stale)
            assert error.groups["phone"][1] == {"value": "33"}
        assert (phone(uid), item_of(uid).outline.state) == ("33", "open")

    def test_a_form_is_not_stale_in_what_the_item_is_not_about(self) -> None:
        uid = disputed()
        basis = Basis(known=head_of(uid).memo.stamps)
        change(uid, email="a@b.c")
        assert choose(uid, "swap", bases={uid: basis}).error is None

    @pytest.mark.parametrize("how", ["settled", "changed"])
    def test_between_reading_and_the_lock(self, how: str) -> None:
        """Whoever comes first between the two is seen under the lock."""
        uid, other = disputed(), disputed("email", "a@b.c", "d@e.f", phone="0")
        both = [(id_of(uid), "keep"), (id_of(other), "keep")]
        read = items.page

        def read_then_someone_else(wanted: items.Filter) -> list[items.Item]:
            found = read(wanted)
            page.side_effect = read
            choose(uid, "swap") if how == "settled" else change(uid, phone="33")
            return found

        with mock.patch("events.items.page", side_effect=read_then_someone_else) as page:
            first, second = chosen(*both)
        assert isinstance(first.error, Settled if how == "settled" else Stale)
        assert second.error is None

    def test_the_others_of_a_record_do_not_wait_for_one_that_is_late(self) -> None:
        uid = enter(surname="Rayleigh")
        seen = head_of(uid)
        change(uid, phone="1", email="a@b.c")
        write_elsewhere(seen, {"phone": "2", "email": "d@e.f"})
        one, two = (item.outline.item_id for item in items_of(uid))
        read = items.page

        def read_then_someone_else(wanted: items.Filter) -> list[items.Item]:
            found = read(wanted)
            page.side_effect = read
            chosen((one, "keep"))
            return found

        with mock.patch("events.items.page", side_effect=read_then_someone_else) as page:
            first, second = chosen((one, "keep"), (two, "swap"))
        assert isinstance(first.error, Settled)
        assert second.error is None
        assert {item.outline.state for item in items_of(uid)} == {"settled"}


class TestMany:
    def test_each_record_is_one_event(self) -> None:
        records = [disputed(), disputed("email", "a@b.c", "d@e.f"), closed_beside_edits()]
        both = enter(surname="Two")
        seen = head_of(both)
        change(both, phone="1", notes="x")
        write_elsewhere(seen, {"phone": "2", "notes": "y"})
        ids = [item.outline.item_id for uid in [*records, both] for item in items_of(uid)]
        before = events()
        outcomes = chosen(*((item_id, "swap") for item_id in ids))
        assert [outcome.error for outcome in outcomes] == [None] * 5
        assert [outcome.item_id for outcome in outcomes] == ids
        assert events() == before + 4
        assert queries.get(both).values["phone"] == "1"
        assert queries.get(both).values["notes"] == "x"
        assert items.count(items.Filter(items.OPEN)) == 0

    def test_one_refused_choice_refuses_its_record_and_no_other(self) -> None:
        good, bad = disputed(), enter(surname="Two")
        seen = head_of(bad)
        change(bad, phone="1", email="a@b.c")
        write_elsewhere(seen, {"phone": "2", "email": "d@e.f"})
        by_group = {item.group: item.outline.item_id for item in items_of(bad)}
        one, two, three = chosen(
            (by_group["email"], "enter", "nowhere"),
            (by_group["phone"], "swap"),
            (id_of(good), "keep"),
        )
        assert isinstance(one.error, InvalidValue)
        assert isinstance(two.error, NotAlone)
        assert three.error is None
        assert queries.get(bad).values["phone"] == "2"
        assert {item.outline.state for item in items_of(bad)} == {"open"}

    def test_one_field_cannot_become_two_values(self) -> None:
        uid = disputed()
        write_elsewhere(_without(head_of(uid), "phone"), {"phone": "33"}, "loc3")
        shown = {row.outline.item_id: row for row in items_of(uid)}
        other = [i for i, item in shown.items() if any(side.is_kept for side in item.sides)]
        assert (len(shown), len(other)) == (3, 2)
        outcomes = chosen(*((item_id, "swap") for item_id in other))
        assert {type(outcome.error) for outcome in outcomes} == {NotAlone, InvalidValue}
        assert [o.error for o in chosen(*((item_id, "keep") for item_id in shown))] == [None] * 3

    def test_more_than_a_transaction_holds_are_refused(self) -> None:
        with pytest.raises(TooLarge):
            chosen(*((f"{n:064x}", "keep") for n in range(1001)))
        with pytest.raises(InvalidValue):
            chosen(("0" * 64, "keep"), ("0" * 64, "swap"))
        uid = closed_beside_edits("phone", "email")
        outcomes = chosen(*((item_id, "keep") for item_id in item_of(uid).outline.open_ids))
        assert [type(outcome.error) for outcome in outcomes] == [NotAlone, InvalidValue]


def _without(head: Head, group: str) -> Head:
    """Return a head as who has never heard of ``group`` has it."""
    memo = head.memo
    stamps = {g: stamp for g, stamp in memo.stamps.items() if g != group}
    state = {g: fields for g, fields in memo.state.items() if g != group}
    return replace(head, memo=replace(memo, stamps=stamps, state=state))
