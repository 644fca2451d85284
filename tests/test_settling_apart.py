"""Two people settle, merge, enter the same at two locations that are cut off: both end equal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from accounts.authors import now_us
from customers import commands, queries
from customers.kinds import ENTITY
from customers.resolving import Choice, choice_of, settle
from customers.search import search
from customers.tests.apart import items_of
from events import heads, items, keys, log
from events.digest import take
from events.drafting import Author, Draft
from events.items import OPEN, SETTLED, Filter, Item
from events.log import Sealed
from events.models import Event
from events.recorder import Received, receive, record
from ops.databases import DatabaseUrls
from tests.databases import TestDatabases
from tests.replaying import assert_replay_is_live

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.feature("S05")]

ONE, TWO = NAMES = ("loc1", "loc2")


class Apart:
    """Two locations, a database each; what they wrote goes over when they meet."""

    def __init__(self, databases: TestDatabases) -> None:
        self.databases = databases
        self.urls: dict[str, DatabaseUrls] = {name: databases.copy() for name in NAMES}

    def at(self, name: str) -> Author:
        """Go to a location; return who writes there, now."""
        self.databases.connect_django(self.urls[name])
        return Author(UUID(int=NAMES.index(name) + 1), name, now_us(), f"request-{name}")

    def meet(self) -> None:
        """Let each have all events of the other, and check that they then agree."""
        sent = {name: self._written(name) for name in NAMES}
        for name, other in zip(NAMES, reversed(NAMES), strict=True):
            self.at(name)
            receive(sent[other], Received(now_us()))
        states = [self._state(name) for name in NAMES]
        assert states[0] == states[1]

    def _written(self, name: str) -> list[Sealed]:
        self.at(name)
        ids = Event.objects.filter(origin=name).values_list("event_id", flat=True)
        return [Sealed(keys.open_event(*kept), *kept) for kept in log.by_id(ids).values()]

    def _state(self, name: str) -> tuple[Any, ...]:
        self.at(name)
        assert_replay_is_live()
        found = items.page(Filter())
        return take().value, [(item.outline, item.sides, item.resolution) for item in found]

    def customer(self) -> UUID:
        """Enter a customer that both know."""
        uid, _ = commands.create_customer({"surname": "Rayleigh", "phone": "0"}, self.at(ONE))
        self.meet()
        return uid

    def change(self, name: str, uid: UUID, **values: str) -> None:
        commands.change_customer(uid, values, self.at(name))

    def settle(self, name: str, item_id: str, choice: str, value: str | None = None) -> None:
        (outcome,) = settle([Choice(item_id, choice, value)], self.at(name))
        assert outcome.error is None


@pytest.fixture
def apart(databases: TestDatabases) -> Iterator[Apart]:
    places = Apart(databases)
    yield places
    databases.renew()
    for urls in places.urls.values():
        databases.drop(urls)


@pytest.fixture
def disputed(apart: Apart) -> UUID:
    """A customer whose phone was changed at both while they were cut off."""
    uid = apart.customer()
    apart.change(ONE, uid, phone="11")
    apart.change(TWO, uid, phone="22")
    apart.meet()
    return uid


def only(found: list[Item]) -> Item:
    (item,) = found
    return item


@pytest.mark.parametrize(("choices", "stands"), [
    ((("keep",), ("keep",)), "22"),
    ((("swap",), ("swap",)), "11"),
    ((("enter", "33"), ("enter", "33")), "33"),
    ((("swap",), ("enter", "11")), "11"),
])  # fmt: skip
def test_trap_23_the_same_choice_settles_it_once(
    apart: Apart, disputed: UUID, choices: Any, stands: str
) -> None:
    item_id = only(items_of(disputed)).outline.item_id
    for name, choice in zip(NAMES, choices, strict=True):
        apart.settle(name, item_id, *choice)
    apart.meet()
    for name in NAMES:
        apart.at(name)
        item = only(items_of(disputed))  # no new one
        assert item.outline.state == SETTLED
        assert queries.get(disputed).values["phone"] == stands


@pytest.mark.parametrize(("choices", "values"), [
    ((("swap",), ("enter", "33")), {"11", "33"}),
    ((("enter", "33"), ("enter", "44")), {"33", "44"}),
    ((("enter", "33"), ("enter", "22")), None),
])  # fmt: skip
def test_trap_23_different_values_settle_it_and_are_a_new_item(
    apart: Apart, disputed: UUID, choices: Any, values: set[str] | None
) -> None:
    item_id = only(items_of(disputed)).outline.item_id
    for name, choice in zip(NAMES, choices, strict=True):
        apart.settle(name, item_id, *choice)
    apart.meet()
    for name in NAMES:
        apart.at(name)
        by_state = {item.outline.state: item for item in items_of(disputed)}
        assert by_state[SETTLED].outline.item_id == item_id
        if values is None:  # to enter what stands is to keep it
            assert by_state.keys() == {SETTLED}
            continue
        new = by_state[OPEN]
        assert {side.fields["value"] for side in new.sides if side.fields} == values
        assert {side.event.actor for side in new.sides} == {UUID(int=1), UUID(int=2)}
    if values is not None:
        apart.settle(TWO, new.outline.item_id, "keep")
        apart.meet()
        assert items.count(Filter(OPEN)) == 0


def test_who_keeps_beside_one_who_swaps_is_overruled_and_it_is_settled(
    apart: Apart, disputed: UUID
) -> None:
    """To keep sets no value, so there is nothing that could be lost."""
    item_id = only(items_of(disputed)).outline.item_id
    apart.settle(ONE, item_id, "keep")
    apart.settle(TWO, item_id, "swap")
    apart.meet()
    for name in NAMES:
        apart.at(name)
        item = only(items_of(disputed))
        assert (item.outline.state, choice_of(item)) == (SETTLED, "keep")
        assert queries.get(disputed).values["phone"] == "11"


@pytest.mark.parametrize(("choices", "is_deleted"), [
    (("keep", "keep"), True), (("swap", "swap"), False), (("keep", "swap"), False),
])  # fmt: skip
def test_trap_22_a_deletion_and_what_it_overlooked(
    apart: Apart, choices: tuple[str, str], is_deleted: bool
) -> None:
    uid = apart.customer()
    commands.delete_customer(uid, apart.at(ONE))
    apart.change(TWO, uid, phone="22")
    apart.change(TWO, uid, email="a@b.c")
    apart.meet()
    item = only(items_of(uid))
    assert len(item.outline.rows) == 2
    for name, choice in zip(NAMES, choices, strict=True):
        apart.settle(name, item.outline.item_id, choice)
    apart.meet()
    for name in NAMES:
        apart.at(name)
        assert only(items_of(uid)).outline.state == SETTLED
        assert queries.get(uid).is_deleted == is_deleted


def merge(uid: UUID, into: UUID | None, author: Author) -> None:
    groups = {"merged_into": {"value": into and str(into)}}
    assert record([Draft(uid, "customers.details_changed", groups, ENTITY)], author)


@pytest.mark.feature("S04")
def test_trap_25_merges_that_form_a_cycle(apart: Apart) -> None:
    """Each record is folded by itself: nothing runs in a circle, and both stay readable."""
    one, two = apart.customer(), apart.customer()
    merge(one, two, apart.at(ONE))
    merge(two, one, apart.at(TWO))
    apart.meet()
    for name in NAMES:
        apart.at(name)
        found = queries.customers([one, two])
        assert [customer.merged_into for customer in found] == [two, one]
        assert [customer.values["surname"] for customer in found] == ["Rayleigh"] * 2
    merge(one, None, apart.at(ONE))  # taken back
    apart.meet()
    for name in NAMES:
        apart.at(name)
        assert queries.get(one).merged_into is None
        assert queries.get(two).merged_into == one


@pytest.mark.feature("S04")
def test_trap_26_one_document_entered_at_two_locations(apart: Apart) -> None:
    """No location may refuse what another has acknowledged: both are there, and both are found."""
    found = []
    for name in NAMES:
        said = {"surname": "Rayleigh", "document_number": "X 1234567"}
        uid, _ = commands.create_customer(said, apart.at(name))
        found.append(uid)
    apart.meet()
    for name in NAMES:
        apart.at(name)
        assert not heads.parked(1)
        assert {hit.customer.entity_uid for hit in search("X1234567", "exact", 9)} == set(found)


def test_a_resolution_that_others_hear_first_settles_what_they_have(
    apart: Apart, disputed: UUID
) -> None:
    item_id = only(items_of(disputed)).outline.item_id
    apart.settle(ONE, item_id, "swap")
    apart.meet()
    author = apart.at(TWO)
    (outcome,) = settle([Choice(item_id, "keep")], author)
    assert outcome.error is not None
    assert items.count(Filter(OPEN)) == 0
