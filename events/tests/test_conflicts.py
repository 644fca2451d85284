"""Which overwritten values come to the inbox: each rule, and the property they are for."""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.conflicts import Conflict, conflicts, item_id
from events.envelope import Event
from events.fold import CLOSING_GROUPS, live
from events.tests.histories import History, histories
from events.tests.making import event

pytestmark = pytest.mark.feature("S05")


def pairs(*events: Event) -> list[tuple[UUID, UUID, str]]:
    return sorted((c.earlier, c.later, c.group) for c in conflicts(events))


def unseen_losses(history: History) -> Iterator[tuple[Event, str]]:
    """Yield what lost though no author of a later event on its group had seen its value.

    An author has seen a value who had in view an event that set it, made no earlier. Authors whose
    event was withdrawn have seen what they saw.
    """
    kept = sorted(live(history.events), key=lambda e: e.stamp)
    by_id = {e.event_id: e for e in history.events}
    for place, lost in enumerate(kept):
        for group, fields in lost.set.items():
            if all(e.set[group] == fields for e in kept[place + 1 :] if group in e.set):
                continue
            authors = [e for e in history.events if group in e.set and e.stamp > lost.stamp]
            in_view = [by_id[u] for e in authors for u in history.in_view[e.event_id]]
            if not any(e.set.get(group) == fields and e.stamp >= lost.stamp for e in in_view):
                yield lost, group


def unseen_closings(history: History) -> Iterator[tuple[Event, Event, str]]:
    """Yield (closing, edit, group) whose authors knew of nothing on either side.

    Nor had anyone who edited the group later seen the edit.
    """
    by_id = {e.event_id: e for e in history.events}

    def knew(author: Event, group: str, other: Event) -> bool:
        in_view = (by_id[uid] for uid in history.in_view[author.event_id])
        return any(group in e.set and e.stamp >= other.stamp for e in in_view)

    def is_replaced(edit: Event, group: str) -> bool:
        later = (e for e in history.events if group in e.set and e.stamp > edit.stamp)
        return any(knew(e, group, edit) for e in later)

    kept = live(history.events)
    closers = [(c, g) for c in kept for g in CLOSING_GROUPS if c.set.get(g, {}).get("value")]
    edits = [(e, g) for e in kept for g in e.set if g not in CLOSING_GROUPS]
    for (c, closing), (e, group) in product(closers, edits):
        is_unseen = e is not c and not knew(c, group, e) and not knew(e, closing, c)
        if is_unseen and not is_replaced(e, group):
            yield c, e, group


def in_inbox(history: History) -> dict[str, set[UUID]]:
    found: dict[str, set[UUID]] = defaultdict(set)
    for item in conflicts(history.events):
        found[item.group] |= {item.earlier, item.later}
    return found


@given(histories(length=22))
def test_every_losing_value_nobody_saw_is_in_the_inbox(history: History) -> None:
    inbox = in_inbox(history)
    for lost, group in unseen_losses(history):
        assert lost.event_id in inbox[group], (str(lost), group)


@given(histories(length=22))
def test_every_edit_closed_away_unseen_is_in_the_inbox(history: History) -> None:
    items = {(c.group, c.earlier, c.later) for c in conflicts(history.events) if c.is_closing}
    for closing, edit, group in unseen_closings(history):
        one, other = sorted((closing, edit), key=lambda e: e.stamp)
        assert (group, one.event_id, other.event_id) in items


@given(histories(), st.randoms(use_true_random=False))
def test_inbox_is_the_same_whatever_the_order_and_repetition(
    history: History, chance: random.Random
) -> None:
    events = history.events + chance.choices(history.events, k=3)
    chance.shuffle(events)
    assert conflicts(events) == conflicts(history.events)


@given(histories())
def test_nobody_is_in_conflict_with_what_they_saw_last(history: History) -> None:
    by_id = {e.event_id: e for e in history.events}
    for item in conflicts(history.events):
        earlier, later = by_id[item.earlier], by_id[item.later]
        assert earlier.stamp < later.stamp
        assert later.base.get(item.group) != earlier.stamp


def test_a_value_overwritten_on_a_withdrawn_basis_is_in_the_inbox() -> None:
    lost = event(20, {"name": "b"}, origin="loc2")
    basis = event(30, {"name": "c"})
    last = event(40, {"name": "d"}, origin="loc3", knowing={"name": basis})
    voiding = event(50, {}, voids=(basis.event_id,))
    assert pairs(lost, basis, last) == [(lost.event_id, basis.event_id, "name")]
    assert pairs(lost, basis, last, voiding) == [(lost.event_id, last.event_id, "name")]


def test_parallel_edits_of_one_group() -> None:
    start = event(10, {"name": "a"})
    one = event(20, {"name": "b"}, knowing={"name": start})
    other = event(30, {"name": "c"}, origin="loc2", knowing={"name": start})
    assert pairs(start, one, other) == [(one.event_id, other.event_id, "name")]


def test_the_items_id_is_a_hash_of_both_events_and_the_group() -> None:
    one, other = event(20, {"name": "b"}), event(30, {"name": "c"}, origin="loc2")
    expected = hashlib.sha256(one.event_id.bytes + other.event_id.bytes + b"name").hexdigest()
    assert item_id(one.event_id, other.event_id, "name") == expected
    assert conflicts([other, one]) == [
        Conflict(expected, "name", one.event_id, other.event_id, is_closing=False)
    ]


def test_seen_edits_are_no_conflict() -> None:
    one = event(10, {"name": "a"})
    assert not pairs(one, event(20, {"name": "b"}, knowing={"name": one}))


def test_equal_values_are_no_conflict() -> None:
    assert not pairs(event(10, {"name": "a"}), event(20, {"name": "a"}, origin="loc2"))


def test_different_groups_merge_silently() -> None:
    assert not pairs(event(10, {"name": "a"}), event(20, {"phone": "1"}, origin="loc2"))


def test_a_value_someone_saw_and_replaced_is_no_longer_a_conflict() -> None:
    one = event(20, {"name": "b"})
    other = event(30, {"name": "c"}, origin="loc2")
    seeing = event(25, {"name": "d"}, knowing={"name": one})
    assert pairs(one, seeing, other) == [(seeing.event_id, other.event_id, "name")]


def test_only_an_event_that_sets_the_group_ends_its_conflict() -> None:
    one = event(20, {"name": "b"})
    other = event(30, {"name": "c"}, origin="loc2")
    # A closing event carries its base for every group without replacing any.
    restoring = event(25, {"deleted": False}, knowing={"name": one})
    assert (one.event_id, other.event_id, "name") in pairs(one, restoring, other)


def test_withdrawn_events_take_no_part() -> None:
    one, other = event(20, {"name": "b"}), event(30, {"name": "c"}, origin="loc2")
    assert not pairs(one, other, event(40, {}, voids=(one.event_id,)))
    assert not pairs(one, other, event(40, {}, voids=(other.event_id,)))


def test_bases_that_name_each_other_come_to_an_end() -> None:
    one, other = event(20, {"name": "b"}), event(30, {"name": "c"}, origin="loc2")
    circle = [
        replace(one, base={"name": other.stamp}),
        replace(other, base={"name": one.stamp}),
        replace(event(35, {"name": "x"}), base={"name": other.stamp}),
    ]
    voiding = event(40, {}, voids=(one.event_id, other.event_id))
    assert not pairs(*circle, voiding)
    alone = replace(one, base={"name": one.stamp})
    assert not pairs(alone, event(25, {"name": "d"}, knowing={"name": alone}), voiding)


def test_deleting_what_another_edits() -> None:
    start = event(10, {"name": "a"})
    edit = event(20, {"name": "b"}, origin="loc2", knowing={"name": start})
    for ts in (15, 25):
        closing = event(ts, {"deleted": True}, knowing={"name": start})
        (item,) = conflicts([start, edit, closing])
        assert item.is_closing
        assert item.group == "name"
        assert {item.earlier, item.later} == {edit.event_id, closing.event_id}
        assert (item.earlier == closing.event_id) == (ts < 20)


def test_merging_what_another_edits() -> None:
    start = event(10, {"name": "a"})
    edit = event(20, {"phone": "1"}, origin="loc2")
    closing = event(25, {"merged_into": "x"}, knowing={"name": start})
    assert pairs(start, edit, closing) == [(edit.event_id, closing.event_id, "phone")]


def test_a_delete_that_knew_the_edit_is_no_conflict() -> None:
    edit = event(20, {"name": "b"})
    assert not pairs(edit, event(25, {"deleted": True}, knowing={"name": edit}))


def test_an_edit_that_knew_the_delete_is_no_conflict() -> None:
    start = event(10, {"name": "a"})
    closing = event(20, {"deleted": True}, knowing={"name": start})
    edit = event(30, {"name": "b"}, knowing={"name": start, "deleted": closing})
    assert not pairs(start, closing, edit)


def test_an_edit_knowingly_replaced_is_in_no_closing_conflict() -> None:
    edit = event(20, {"name": "b"}, origin="loc2")
    closing = event(25, {"deleted": True})
    replacing = event(30, {"name": "c"}, origin="loc2", knowing={"name": edit})
    assert pairs(edit, closing, replacing) == [(closing.event_id, replacing.event_id, "name")]


def test_restoring_is_a_plain_event() -> None:
    start = event(10, {"name": "a"})
    restoring = event(25, {"deleted": False}, knowing={"name": start})
    edit = event(20, {"name": "b"}, origin="loc2", knowing={"name": start})
    assert not pairs(start, edit, restoring)


def test_a_conflict_resolved_says_by_which_event() -> None:
    one, other = event(20, {"name": "b"}), event(30, {"name": "c"}, origin="loc2")
    item = item_id(one.event_id, other.event_id, "name")
    keeping = event(40, {}, resolves=(item,))
    again = event(50, {}, resolves=(item,))
    for events in ([one, other, keeping, again], [again, keeping, other, one]):
        assert [c.resolved_by for c in conflicts(events)] == [keeping.event_id]
    assert [c.resolved_by for c in conflicts([one, other])] == [None]
