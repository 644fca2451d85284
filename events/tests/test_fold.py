"""Laws of fold, and an example for each of its rules."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.envelope import Event
from events.fold import Folded, Memo, RowKey, Version, fold, live, resume
from events.tests.histories import DETAIL, WIDE, History, Shape, histories
from events.tests.making import event

pytestmark = [pytest.mark.feature("S04"), pytest.mark.scd2]


def by_key(folded: Folded) -> dict[RowKey, list[Version]]:
    found: dict[RowKey, list[Version]] = defaultdict(list)
    for version in sorted(folded.versions, key=lambda v: v.valid_from):
        found[version.key].append(version)
    return found


def spans(
    events: Sequence[Event], code: str, shape: Shape = DETAIL
) -> list[tuple[int, int | None, Any]]:
    """Return ``(valid_from, valid_to, value)`` of a detail, or of the wide row for ``""``."""
    key = RowKey("detail", code) if code else RowKey("offer", "")
    return [
        (v.valid_from, v.valid_to, v.values["value"]["value"] if code else dict(v.values))
        for v in by_key(fold(events, shape.rows))[key]
    ]


def joined(*folded: Folded) -> dict[tuple[RowKey, int], Version]:
    """Return the versions after one fold went on from the one before."""
    found: dict[tuple[RowKey, int], Version] = {}
    for version in (v for one in folded for v in one.versions):
        place = (version.key, version.valid_from)
        # None: it was open before, and who opened it is known already.
        opener = version.event_id or found[place].event_id
        found[place] = version._replace(event_id=opener)
    return found


def same(one: Folded, other: Folded) -> bool:
    return one.memo == other.memo and by_key(one) == by_key(other)


@given(histories(), st.randoms(use_true_random=False))
def test_any_order_folds_the_same(history: History, chance: random.Random) -> None:
    shuffled = list(history.events)
    chance.shuffle(shuffled)
    assert same(fold(shuffled, history.shape.rows), fold(history.events, history.shape.rows))


@given(histories(), st.randoms(use_true_random=False))
def test_repetition_folds_the_same(history: History, chance: random.Random) -> None:
    twice = history.events + chance.choices(history.events, k=len(history.events))
    assert same(fold(twice, history.shape.rows), fold(history.events, history.shape.rows))


@given(histories())
def test_versions_do_not_overlap_and_one_at_most_is_open(history: History) -> None:
    folded = fold(history.events, history.shape.rows)
    for versions in by_key(folded).values():
        for one, following in pairwise(versions):
            assert one.valid_to is not None
            assert one.valid_from < one.valid_to <= following.valid_from
            # Equal neighbours are one version.
            assert one.valid_to < following.valid_from or one.values != following.values


@given(histories())
def test_open_versions_are_those_of_the_memo(history: History) -> None:
    folded = fold(history.events, history.shape.rows)
    still_open = {v.key: v.valid_from for v in folded.versions if v.valid_to is None}
    assert still_open == folded.memo.open
    shown = {row.key: row.values for row in history.shape.rows(folded.memo.state, None)}
    if folded.memo.is_deleted or not folded.memo.state:
        assert not still_open
    else:
        assert {v.key: v.values for v in folded.versions if v.valid_to is None} == shown


@given(histories())
def test_nothing_is_open_while_deleted(history: History) -> None:
    folded = fold(history.events, history.shape.rows)
    begins = {max(e.effective_at, floor_of(history.events)) for e in live(history.events)}
    for instant in begins:
        before = [e for e in live(history.events) if began(e, history.events) <= instant]
        if fold(before, history.shape.rows).memo.is_deleted:
            assert not [
                v
                for v in folded.versions
                if v.valid_from <= instant and (v.valid_to is None or instant < v.valid_to)
            ]


def floor_of(events: Sequence[Event]) -> int:
    return min(live(events), key=lambda e: e.stamp).effective_at


def began(one: Event, events: Sequence[Event]) -> int:
    return max(one.effective_at, floor_of(events))


@given(histories())
def test_nothing_begins_before_the_first_event_took_effect(history: History) -> None:
    floor = floor_of(history.events)
    assert all(v.valid_from >= floor for v in fold(history.events, history.shape.rows).versions)


@given(histories())
def test_memo_holds_the_greatest_stamps(history: History) -> None:
    kept, memo = live(history.events), fold(history.events, history.shape.rows).memo
    assert memo.first_ts == min(e.ts for e in kept)
    assert memo.last_ts == max(e.ts for e in kept)
    assert memo.stamps == {
        group: max(e.stamp for e in kept if group in e.set)
        for group in {group for e in kept for group in e.set}
    }


@given(histories(has_voids=False), st.integers(1, 20))
def test_resuming_after_all_that_took_effect_before_is_starting_over(
    history: History, cut: int
) -> None:
    ordered = sorted(history.events, key=lambda e: (began(e, history.events), e.stamp))
    first, rest = ordered[:cut], ordered[cut:]
    if rest and began(first[-1], history.events) == began(rest[0], history.events):
        return  # one instant is one version
    if min(history.events, key=lambda e: e.stamp) not in first:
        return  # the floor itself would move
    begun = fold(first, history.shape.rows)
    # resume() does not clip: it goes on with events that need no clipping.
    if any(e.effective_at < began(e, history.events) for e in rest):
        return
    gone_on = resume(begun.memo, rest, history.shape.rows)
    whole = fold(history.events, history.shape.rows)
    assert gone_on.memo == whole.memo
    assert joined(begun, gone_on) == joined(whole)


def test_no_events_make_nothing() -> None:
    assert fold([], DETAIL.rows) == Folded(Memo(), ())


def test_a_change_ends_the_version_before_it() -> None:
    first, second = event(10, {"name": "a"}), event(20, {"name": "b"})
    folded = fold([second, first], DETAIL.rows)
    assert by_key(folded)[RowKey("detail", "name")] == [
        Version(RowKey("detail", "name"), 10, 20, {"value": {"value": "a"}}, first.event_id),
        Version(RowKey("detail", "name"), 20, None, {"value": {"value": "b"}}, second.event_id),
    ]


def test_trap_17_equal_time_is_decided_by_origin() -> None:
    one = event(10, {"name": "a"}, origin="loc2")
    other = event(10, {"name": "b"}, origin="loc1")
    for events in ([one, other], [other, one]):
        assert spans(events, "name") == [(10, None, "a")]


def test_equal_time_and_origin_are_decided_by_the_event() -> None:
    small, great = event(10, {"name": "a"}), event(10, {"name": "b"})
    for events in ([small, great], [great, small]):
        assert spans(events, "name") == [(10, None, "b")]


@pytest.mark.feature("T09")
def test_a_backdated_change_stands_where_it_took_effect() -> None:
    events = [
        event(10, {"name": "a"}),
        event(30, {"name": "c"}),
        event(40, {"name": "b"}, effective=20),
    ]
    assert spans(events, "name") == [(10, 20, "a"), (20, 30, "b"), (30, None, "c")]


@pytest.mark.feature("T09")
def test_a_backdated_change_cuts_at_its_effect_not_at_its_stamp() -> None:
    events = [event(10, {"name": "a"}), event(40, {"name": "b"}, effective=20)]
    assert spans(events, "name") == [(10, 20, "a"), (20, None, "b")]


@pytest.mark.feature("T09")
def test_effect_before_the_record_began_is_clipped() -> None:
    events = [event(10, {"name": "a"}), event(40, {"name": "b", "phone": "1"}, effective=3)]
    assert spans(events, "name") == [(10, None, "b")]
    assert spans(events, "phone") == [(10, None, "1")]


@pytest.mark.feature("T09")
def test_a_record_may_begin_before_it_was_recorded() -> None:
    events = [event(10, {"name": "a"}, effective=2), event(20, {"name": "b"}, effective=5)]
    assert spans(events, "name") == [(2, 5, "a"), (5, None, "b")]


def test_the_floor_is_that_of_the_smallest_stamp_not_withdrawn() -> None:
    first = event(10, {"name": "a"}, effective=2)
    second = event(20, {"name": "b"})
    voiding = event(30, {}, voids=(first.event_id,))
    late = event(40, {"phone": "1"}, effective=1)
    assert spans([first, second, voiding, late], "phone") == [(20, None, "1")]


def test_equal_neighbours_are_one_version_and_their_stamp_is_kept() -> None:
    first, again = event(10, {"name": "a"}), event(20, {"name": "a"})
    assert spans([first, again], "name") == [(10, None, "a")]
    assert fold([first, again], DETAIL.rows).memo.stamps["name"] == again.stamp


def test_an_equal_value_counts_whichever_arrives_first() -> None:
    first, between, again = (
        event(10, {"name": "a"}),
        event(20, {"name": "b"}),
        event(30, {"name": "a"}),
    )
    expected = [(10, 20, "a"), (20, 30, "b"), (30, None, "a")]
    assert spans([first, between, again], "name") == expected
    assert spans([first, again, between], "name") == expected


def test_a_row_keeps_the_groups_an_event_does_not_set() -> None:
    events = [
        event(10, {"title": {"title": "t"}, "price": {"amount": "1.00", "currency": "EUR"}}),
        event(20, {"note": {"note": "n"}}),
    ]
    assert spans(events, "", WIDE)[-1] == (
        20, None, {"title": "t", "amount": "1.00", "currency": "EUR", "note": "n"},
    )  # fmt: skip


def test_a_late_change_of_one_group_recuts_up_to_its_next_change() -> None:
    events = [
        event(10, {"title": {"title": "a"}, "note": {"note": "1"}}),
        event(20, {"note": {"note": "2"}}),
        event(30, {"title": {"title": "c"}}),
        event(15, {"title": {"title": "b"}}, origin="loc2"),
    ]
    found = [(b, e, v["title"], v["note"]) for b, e, v in spans(events, "", WIDE)]
    assert found == [
        (10, 15, "a", "1"),
        (15, 20, "b", "1"),
        (20, 30, "b", "2"),
        (30, None, "c", "2"),
    ]


def test_a_group_changes_whole() -> None:
    events = [
        event(10, {"price": {"amount": "1.00", "currency": "EUR"}}),
        event(20, {"price": {"amount": "2.00", "currency": "USD"}}, origin="loc2"),
    ]
    amounts = [(v["amount"], v["currency"]) for _, _, v in spans(events, "", WIDE)]
    assert amounts == [("1.00", "EUR"), ("2.00", "USD")]


def test_a_removed_value_closes_its_row() -> None:
    events = [event(10, {"name": "a"}), event(20, {"name": None}), event(30, {"name": "a"})]
    assert spans(events, "name") == [(10, 20, "a"), (30, None, "a")]


@pytest.mark.feature("C02")
def test_deleting_closes_every_row() -> None:
    events = [event(10, {"name": "a", "phone": "1"}), event(20, {"deleted": True})]
    folded = fold(events, DETAIL.rows)
    assert {v.key.code for v in folded.versions} == {"", "name", "phone"}
    assert {v.valid_to for v in folded.versions} == {20}
    assert folded.memo.is_deleted
    assert not folded.memo.open


@pytest.mark.feature("C02")
def test_edits_fold_beneath_a_delete_and_show_after_it_is_undone() -> None:
    edit = event(30, {"name": "b"}, origin="loc2")
    events = [
        event(10, {"name": "a", "phone": "1"}),
        event(20, {"deleted": True}),
        edit,
        event(40, {"deleted": False}),
    ]
    assert spans(events[:3], "name") == [(10, 20, "a")]
    assert spans(events, "name") == [(10, 20, "a"), (40, None, "b")]
    assert spans(events, "phone") == [(10, 20, "1"), (40, None, "1")]


def test_what_an_undelete_opens_is_its_own() -> None:
    undone = event(40, {"deleted": False})
    events = [event(10, {"name": "a"}), event(20, {"deleted": True}), undone]
    still_open = [v for v in fold(events, DETAIL.rows).versions if v.valid_to is None]
    assert {(v.valid_from, v.event_id) for v in still_open} == {(40, undone.event_id)}


def test_a_version_is_ascribed_to_who_set_it_within_one_instant() -> None:
    naming = event(10, {"name": "a"}, origin="loc1")
    calling = event(10, {"phone": "1"}, origin="loc2")
    opened = {v.key.code: v.event_id for v in fold([calling, naming], DETAIL.rows).versions}
    assert opened["name"] == naming.event_id
    assert opened["phone"] == calling.event_id


def test_a_merge_hides_but_does_not_close() -> None:
    events = [event(10, {"name": "a"}), event(20, {"merged_into": "x"})]
    folded = fold(events, DETAIL.rows)
    assert spans(events, "name") == [(10, None, "a")]
    assert by_key(folded)[RowKey("entity", "")][-1].values["merged_into"] == "x"


def test_a_withdrawn_event_takes_no_part_before_or_after_its_withdrawal() -> None:
    wrong = event(20, {"name": "b", "phone": "1"})
    voiding = event(30, {"phone": "2"}, voids=(wrong.event_id,))
    for events in (
        [event(10, {"name": "a"}), wrong, voiding],
        [voiding, wrong, event(10, {"name": "a"})],
    ):
        assert spans(events, "name") == [(10, None, "a")]
        assert spans(events, "phone") == [(30, None, "2")]


def test_trap_24_what_withdraws_cannot_be_withdrawn() -> None:
    wrong = event(20, {"name": "b"})
    voiding = event(30, {"phone": "1"}, voids=(wrong.event_id,))
    events = [event(10, {"name": "a"}), wrong, voiding, event(40, {}, voids=(voiding.event_id,))]
    assert spans(events, "name") == [(10, None, "a")]
    assert spans(events, "phone") == [(30, None, "1")]


def test_a_withdrawn_far_future_does_not_hold_the_clock() -> None:
    far = event(10**9, {"name": "b"})
    events = [event(10, {"name": "a"}), far, event(20, {}, voids=(far.event_id,))]
    assert fold(events, DETAIL.rows).memo.last_ts == 20
