"""What the inbox shows: both values with who, where and when, and what stands; paged, cheaply."""

from __future__ import annotations

from unittest import mock
from uuid import uuid4

import pytest

from accounts.authors import now_us
from customers.kinds import ENTITY
from customers.resolving import Choice, settle
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
from customers.tests.browsing import change, enter
from events import items, sql
from events.drafting import Author, Draft, events_of
from events.envelope import to_raw
from events.errors import Parked, Settled, UnknownItem
from events.heads import Head
from events.items import OPEN, SETTLED, Filter
from events.log import Sealed
from events.models import Conflict
from events.recorder import Received, receive, record
from events.status import sync_status
from tests.sample.models import OFFER

pytestmark = [pytest.mark.django_db, pytest.mark.feature("S05")]


def keep(item_id: str) -> None:
    (outcome,) = settle([Choice(item_id, "keep")], Author(None, "loc1", now_us()))
    assert outcome.error is None


def test_both_values_with_who_where_when_and_which_one_stands() -> None:
    uid = disputed()
    item = item_of(uid)
    assert item.group == "phone"
    mine, theirs = item.sides
    assert (mine.fields, mine.event.origin, mine.is_kept) == ({"value": "11"}, "loc1", False)
    assert (theirs.fields, theirs.event.origin, theirs.is_kept) == ({"value": "22"}, "loc2", True)
    assert mine.event.ts < theirs.event.ts
    assert item.resolution is None


def test_newest_first_in_pages_by_state_and_record() -> None:
    uids = [disputed() for _ in range(5)]
    ids = [id_of(uid) for uid in reversed(uids)]
    assert [found.item_id for found in items.outlines(Filter())] == ids
    paged = [items.outlines(Filter(OPEN), offset, 2) for offset in (0, 2, 4, 6)]
    assert [[found.item_id for found in page] for page in paged] == [ids[:2], ids[2:4], ids[4:], []]
    keep(ids[0])
    assert items.count(Filter()) == 5
    assert items.count(Filter(OPEN)) == 4
    assert [found.item_id for found in items.outlines(Filter(SETTLED))] == ids[:1]
    assert [found.state for found in items.outlines(Filter())] == ["settled", *["open"] * 4]
    only = Filter(OPEN, entity_uid=uids[0])
    assert [found.item_id for found in items.outlines(only)] == [ids[-1]]
    assert items.outlines(Filter(item_ids=ids[:2]))[1].item_id == ids[1]
    assert items.count(Filter(item_ids=["0" * 64])) == 0


def test_two_who_closed_what_a_third_edited_are_two_items() -> None:
    uid = enter(surname="Rayleigh")
    seen = head_of(uid)
    write_elsewhere(seen, {"phone": "1"})
    for origin in ("loc3", "loc4"):
        delete_elsewhere(seen, origin)
    assert [len(item.sides) for item in items_of(uid)] == [2, 2]
    assert {item.sides[0].event.origin for item in items_of(uid)} == {"loc3", "loc4"}


def test_one_event_that_closed_after_and_before_edits_is_one_item() -> None:
    uid = enter(surname="Rayleigh")
    seen = head_of(uid)
    write_elsewhere(seen, {"phone": "1"})
    delete_elsewhere(seen, "loc3")
    write_elsewhere(seen, {"email": "a@b.c", "notes": "x"}, "loc4")
    item = item_of(uid)
    assert [(side.group, side.event.origin) for side in item.sides] == [
        ("deleted", "loc3"), ("phone", "loc2"), ("email", "loc4"), ("notes", "loc4"),
    ]  # fmt: skip
    assert len(Conflict.objects.all()) == 3
    assert sync_status()["conflicts"] == items.count(Filter(OPEN)) == 1


@pytest.mark.parametrize("state", [OPEN, SETTLED])
def test_statements_do_not_grow_with_the_page(state: str) -> None:
    for _ in range(4):
        for uid in (disputed(), closed_beside_edits("phone", "email")):
            if state == SETTLED:
                keep(id_of(uid))
    asked = []
    for limit in (1, 8):
        with mock.patch("events.sql.execute", wraps=sql.execute) as prepared:
            assert len(items.page(Filter(state, kind=ENTITY), 0, limit)) == limit
        asked.append(prepared.call_count)
    assert asked == [3, 3]


def test_a_parked_record_and_what_cannot_be_opened_break_nothing() -> None:
    uid, other = disputed(), disputed()
    write_elsewhere(head_of(uid), {"email": "a@b.c"}, "loc3", is_key_here=False)
    assert head_of(uid).parked_reason == "MissingKey"
    assert {item.head.parked_reason for item in items.page(Filter())} == {None, "MissingKey"}
    (outcome,) = settle([Choice(id_of(uid), "keep")], Author(None, "loc1", now_us()))
    assert isinstance(outcome.error, Parked)
    sql.execute("DELETE FROM events_subjectkey WHERE subject_uid = %s AND origin = 'loc1'", [other])
    mine, theirs = item_of(other).sides
    assert (mine.fields, mine.is_kept) == (None, False)
    assert theirs.fields == {"value": "22"}


def test_of_customers_alone_when_asked_so() -> None:
    """Another module's records have conflicts, too, but they are not customers."""
    disputed()
    uid = uuid4()
    author = Author(None, "loc1", now_us())
    title, other = {"title": {"title": "Lamp"}}, {"title": {"title": "Lantern"}}
    record([Draft(uid, "sample.offer_made", title, OFFER, is_new=True)], author)
    seen = head_of(uid)
    record([Draft(uid, "sample.offer_changed", other, OFFER)], author)
    _offer_elsewhere(seen)
    assert items.count(Filter()) == 2
    assert items.count(Filter(kind=ENTITY)) == 1
    item = next(item for item in items.page(Filter(kind=OFFER)))
    assert [side.fields for side in item.sides] == [{"title": "Lantern"}, {"title": "Light"}]
    (outcome,) = settle([Choice(item.outline.item_id, "keep")], author)
    assert isinstance(outcome.error, UnknownItem)


def _offer_elsewhere(seen: Head) -> None:
    draft = Draft(seen.entity_uid, "sample.offer_changed", {"title": {"title": "Light"}}, OFFER)
    (event,) = events_of([draft], {seen.entity_uid: seen}, Author(None, "loc2", now_us()))
    receive([Sealed(event, to_raw(event))], Received(now_us()))


def test_the_write_path_itself_refuses_to_settle_what_is_not_open() -> None:
    uid, other = disputed(), disputed()
    author = Author(None, "loc1", now_us())

    def draft(item_id: str) -> Draft:
        return Draft(uid, "customers.conflict_resolved", {}, ENTITY, resolves=[item_id])

    for wrong in (id_of(other), "0" * 64):
        with pytest.raises(UnknownItem) as refused:
            record([draft(wrong)], author)
        assert refused.value.item_ids == {wrong}
    (event,) = record([draft(id_of(uid))], author)
    assert event.resolves == (id_of(uid),)
    with pytest.raises(Settled):
        record([draft(id_of(uid))], author)
    change(uid, phone="33")
    assert item_of(uid).outline.state == SETTLED
