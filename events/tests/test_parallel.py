"""Which changes were made in parallel on different groups: marked, and only where it is known."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

import pytest
from hypothesis import given

from events.conflicts import parallel
from events.envelope import Event
from events.fold import CLOSING_GROUPS, live
from events.tests.histories import History, histories
from events.tests.making import event

pytestmark = pytest.mark.feature("S05")

START = event(10, {"name": "a", "phone": "1", "email": "x"})


def marks(*events: Event) -> dict[UUID, list[UUID]]:
    return {uid: [e.event_id for e in others] for uid, others in parallel(events).items()}


def edit(ts: int, values: Mapping[str, object], origin: str = "loc2", *seen: Event) -> Event:
    """Return an edit whose author has seen START and then ``seen``."""
    known = {group: e for e in (START, *seen) for group in e.set}
    return event(ts, values, origin=origin, knowing=known)


def test_different_groups_changed_at_two_locations_are_marked_at_the_later_one() -> None:
    one, other = edit(20, {"phone": "2"}, "loc1"), edit(30, {"email": "y"})
    assert marks(START, one, other) == {other.event_id: [one.event_id]}
    assert marks(other, START, one, one) == {other.event_id: [one.event_id]}


def test_what_its_author_had_seen_is_not() -> None:
    one = edit(20, {"phone": "2"}, "loc1")
    assert marks(START, one, edit(30, {"email": "y"}, "loc2", one)) == {}


def test_one_location_is_never_parallel_to_itself() -> None:
    assert marks(START, edit(20, {"phone": "2"}), edit(30, {"email": "y"})) == {}


def test_one_group_is_a_matter_of_the_inbox() -> None:
    one, other = edit(20, {"phone": "2"}, "loc1"), edit(30, {"phone": "3", "email": "y"})
    assert marks(START, one, other) == {}


def test_nor_is_what_closes_the_record_a_mark() -> None:
    closing = edit(20, {"deleted": True}, "loc1")
    assert marks(START, closing, edit(30, {"email": "y"})) == {}
    assert marks(START, edit(20, {"email": "y"}), edit(30, {"deleted": True}, "loc1")) == {}
    opening = edit(30, {"deleted": False}, "loc1")
    assert len(marks(START, edit(20, {"email": "y"}), opening)) == 1


def test_what_was_withdrawn_or_sets_nothing_takes_no_part() -> None:
    one, other = edit(20, {"phone": "2"}, "loc1"), edit(30, {"email": "y"})
    voiding = event(40, {}, voids=(one.event_id,))
    assert marks(START, one, other, voiding) == {}
    settling = edit(25, {}, "loc3")
    assert marks(START, one, other, settling) == {other.event_id: [one.event_id]}


def test_an_event_that_does_not_tell_what_its_author_knew_is_not_marked() -> None:
    """Neither a record's first event nor one that names the groups it sets and no other."""
    first_too = event(20, {"company": "c"}, origin="loc2")
    assert marks(START, first_too) == {}
    one = edit(20, {"phone": "2"}, "loc1")
    of_before = event(30, {"email": "y"}, origin="loc2", knowing={"email": START})
    assert marks(START, one, of_before) == {}


@given(histories(length=22))
def test_nobody_is_said_to_have_missed_what_they_had_in_view(history: History) -> None:
    for uid, others in parallel(history.events).items():
        assert not {e.event_id for e in others} & history.in_view[uid]


@given(histories(length=22))
def test_who_had_seen_nothing_so_late_is_marked(history: History) -> None:
    by_id = {e.event_id: e for e in history.events}
    found = {uid: {e.event_id for e in others} for uid, others in parallel(history.events).items()}
    kept = [e for e in live(history.events) if e.set and not closes(e)]
    for author in kept:
        seen = [by_id[uid] for uid in history.in_view[author.event_id]]
        groups = {g for e in live(seen) for g in e.set} - {*author.set, *CLOSING_GROUPS}
        for other in kept:
            is_missed = other.stamp > max((e.stamp for e in seen), default=other.stamp)
            is_apart = other.origin != author.origin and not other.set.keys() & author.set.keys()
            if groups and is_missed and is_apart and other.stamp < author.stamp:
                assert other.event_id in found[author.event_id]


def closes(event: Event) -> bool:
    return any(event.set.get(group, {}).get("value") for group in CLOSING_GROUPS)
