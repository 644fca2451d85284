"""When a fold may go on from its memo, and that it then says the same as starting over."""

from __future__ import annotations

from typing import Any

import pytest

from events.envelope import Event
from events.fold import fold
from events.heads import Head
from events.refold import is_fast
from events.tests.histories import DETAIL, ENTITY
from events.tests.making import event

pytestmark = pytest.mark.feature("S03")

START = event(10, {"name": "a"})


def head_of(*events: Event, **given: Any) -> Head:
    return Head(ENTITY, "detail", fold(events, DETAIL.rows).memo, **given)


def test_a_new_record_and_a_later_edit_go_on() -> None:
    assert is_fast(head_of(), [START])
    edit = event(20, {"name": "b"}, knowing={"name": START})
    assert is_fast(head_of(START), [edit])
    assert is_fast(head_of(START), [edit, event(30, {"name": "c"}, knowing={"name": edit})])


def test_a_late_event_starts_over() -> None:
    assert not is_fast(head_of(START), [event(5, {"phone": "1"}, origin="loc2")])
    assert not is_fast(head_of(START), [event(10, {"phone": "1"}, origin="loc2")])


def test_a_late_event_within_the_new_ones_starts_over() -> None:
    one, late = event(30, {"phone": "1"}), event(20, {"surname": "b"}, origin="loc2")
    assert not is_fast(head_of(START), [one, late])


@pytest.mark.parametrize(
    "given",
    [
        {"effective": 15},
        {"effective": 5},
        {"voids": (START.event_id,)},
        {"resolves": ("item",)},
    ],
)
def test_what_reaches_back_starts_over(given: dict[str, Any]) -> None:
    assert not is_fast(head_of(START), [event(20, {"phone": "1"}, **given)])


@pytest.mark.parametrize("group", ["deleted", "merged_into"])
def test_what_closes_starts_over(group: str) -> None:
    closing = event(20, {group: None}, knowing={"name": START})
    assert not is_fast(head_of(START), [closing])


def test_an_edit_that_may_be_in_conflict_starts_over() -> None:
    assert not is_fast(head_of(START), [event(20, {"name": "b"}, origin="loc2")])
    closed = event(15, {"deleted": False}, knowing={"name": START})
    unaware = event(20, {"phone": "1"}, origin="loc2")
    assert not is_fast(head_of(START, closed), [unaware])


def test_a_closed_record_or_one_with_voids_or_conflicts_starts_over() -> None:
    deleted = event(15, {"deleted": True}, knowing={"name": START})
    edit = event(20, {"phone": "1"}, knowing={"deleted": deleted})
    assert not is_fast(head_of(START, deleted), [edit])
    edit = event(20, {"phone": "1"})
    assert not is_fast(head_of(START, has_open_voids=True), [edit])
    assert not is_fast(head_of(START, has_closing_conflicts=True), [edit])
