"""What an author wants, and what the origin makes of it: no database, but its own rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from events.drafting import Author, Draft, events_of, version_for
from events.envelope import Event
from events.errors import AlreadyExists, InvalidValue, Parked, Stale, Unknown
from events.fold import fold
from events.heads import Head, etag
from events.registry import STRUCTURAL_GROUPS, Kind
from events.tests.histories import DETAIL, ENTITY
from events.tests.making import event
from events.versions import TEXT, Regrouped

KIND = Kind("detail", {"detail.changed": 1}, {}, DETAIL.rows, clear_groups=STRUCTURAL_GROUPS)


def head_of(*events: Event, **given: Any) -> Head:
    return Head(ENTITY, KIND.name, fold(events, DETAIL.rows).memo, **given)


def draft(values: Mapping[str, Any], **given: Any) -> Draft:
    groups = {group: {"value": value} for group, value in values.items()}
    return Draft(ENTITY, "detail.changed", groups, KIND, **given)


def made(head: Head, *drafts: Draft, now: int = 100) -> list[Event]:
    author = Author(actor=UUID(int=1), origin="loc1", now=now, request_id="r")
    return events_of(drafts, {ENTITY: head}, author)


START = event(10, {"name": "a", "phone": "1"})


@pytest.mark.feature("T03")
def test_what_is_so_already_makes_no_event() -> None:
    assert made(head_of(START), draft({"name": "a"})) == []


@pytest.mark.feature("T03")
def test_only_what_changes_is_in_the_event() -> None:
    (one,) = made(head_of(START), draft({"name": "a", "phone": "2", "surname": None}))
    assert one.set == {"phone": {"value": "2"}}


def test_removing_a_value_is_a_change() -> None:
    (one,) = made(head_of(START), draft({"name": None}))
    assert one.set == {"name": {"value": None}}


def test_base_is_what_stood_and_always_names_the_closing_groups() -> None:
    (one,) = made(head_of(START), draft({"name": "b", "surname": "c"}))
    assert one.base == {
        "name": START.stamp,
        "surname": None,
        "deleted": None,
        "merged_into": None,
        "phone": START.stamp,  # the last change of another group
    }


def test_a_first_event_has_nothing_to_name() -> None:
    (one,) = made(head_of(), draft({"name": "b"}, is_new=True))
    assert one.base == {"name": None, "deleted": None, "merged_into": None}


@pytest.mark.feature("S05")
def test_base_names_the_last_change_its_author_knew_whatever_its_group() -> None:
    newer = event(20, {"surname": "x"}, origin="loc2")
    (one,) = made(head_of(START, newer), draft({"name": "b"}))
    assert one.base.get("surname") == newer.stamp
    assert "phone" not in one.base
    (two,) = made(head_of(START, newer), draft({"surname": "y"}))
    assert (two.base["surname"], two.base["phone"]) == (newer.stamp, START.stamp)


@pytest.mark.feature("S05")
def test_of_a_form_it_names_what_was_known_when_the_form_was_made() -> None:
    newer = event(20, {"surname": "x"}, origin="loc2")
    form = head_of(START).memo.stamps
    (one,) = made(head_of(START, newer), draft({"name": "b"}, known=form))
    assert one.base["phone"] == START.stamp
    assert "surname" not in one.base


@pytest.mark.parametrize("closing", [{"deleted": True}, {"merged_into": "x"}])
def test_a_closing_event_has_a_base_for_every_group(closing: dict[str, Any]) -> None:
    (one,) = made(head_of(START), draft(closing))
    assert one.base == {
        "name": START.stamp,
        "phone": START.stamp,
        "deleted": None,
        "merged_into": None,
    }


def test_a_write_wins_over_what_it_was_based_on_even_after_a_fast_clock() -> None:
    (one,) = made(head_of(event(5_000, {"name": "a"})), draft({"name": "b"}), now=100)
    assert one.ts == 5_001


@pytest.mark.feature("S05")
def test_a_stale_form_is_refused_with_both_values() -> None:
    newer = event(20, {"name": "b"}, knowing={"name": START})
    form = head_of(START).memo.stamps
    with pytest.raises(Stale) as refused:
        made(head_of(START, newer), draft({"name": "c"}, known=form))
    assert refused.value.groups == {"name": ({"value": "c"}, {"value": "b"})}


@pytest.mark.feature("S05")
def test_a_form_is_not_stale_in_what_it_does_not_set() -> None:
    newer = event(20, {"phone": "2"})
    form = head_of(START).memo.stamps
    (one,) = made(head_of(START, newer), draft({"name": "c"}, known=form))
    assert one.base["name"] == START.stamp


@pytest.mark.feature("S05")
@pytest.mark.parametrize("closing", [{"deleted": True}, {"merged_into": "x"}])
def test_a_form_of_a_record_closed_meanwhile_is_stale(closing: dict[str, Any]) -> None:
    form = head_of(START).memo.stamps
    with pytest.raises(Stale):
        made(head_of(START, event(20, closing)), draft({"name": "c"}, known=form))


@pytest.mark.feature("S05")
def test_a_delete_is_stale_when_anything_is_newer() -> None:
    form = head_of(START).memo.stamps
    with pytest.raises(Stale):
        made(head_of(START, event(20, {"surname": "x"})), draft({"deleted": True}, known=form))


@pytest.mark.feature("S05")
@pytest.mark.parametrize("by", ["known", "if_match"])
def test_what_a_draft_rests_on_makes_it_stale_though_it_sets_nothing(by: str) -> None:
    before, head = head_of(START).memo.stamps, head_of(START, event(20, {"phone": "2"}))
    seen: dict[str, Any] = {"known": before} if by == "known" else {"if_match": etag(before)}
    with pytest.raises(Stale) as refused:
        made(head, draft({}, resolves=["item"], rests_on=["phone"], **seen))
    assert refused.value.groups == {"phone": ({}, {"value": "2"})}
    (one,) = made(head, draft({}, resolves=["item"], rests_on=["phone"], known=head.memo.stamps))
    assert (one.set, one.resolves) == ({}, ("item",))


@pytest.mark.feature("S05")
def test_what_rests_on_a_closing_group_is_stale_when_anything_is_newer() -> None:
    head, form = head_of(START, event(20, {"surname": "x"})), head_of(START).memo.stamps
    assert made(head, draft({}, resolves=["item"], rests_on=["name"], known=form))
    with pytest.raises(Stale):
        made(head, draft({}, resolves=["item"], rests_on=["deleted"], known=form))


@pytest.mark.feature("A06")
def test_an_etag_is_compared_whole() -> None:
    before, head = head_of(START), head_of(START, event(20, {"phone": "2"}))
    with pytest.raises(Stale):
        made(head, draft({"name": "c"}, if_match=etag(before.memo.stamps)))
    assert made(head, draft({"name": "c"}, if_match=etag(head.memo.stamps)))


def test_two_who_mend_one_typo_alike_do_not_disagree() -> None:
    newer = event(20, {"name": "b"}, knowing={"name": START})
    form = head_of(START).memo.stamps
    assert made(head_of(START, newer), draft({"name": "b"}, known=form)) == []


@pytest.mark.parametrize(
    ("head", "wanted", "error"),
    [
        (head_of(), draft({"name": "a"}), Unknown),
        (head_of(START), draft({"name": "b"}, is_new=True), AlreadyExists),
        (head_of(START, parked_reason="MissingKey"), draft({"name": "b"}), Parked),
        (head_of(START), draft({"name": "b"}, effective=101), InvalidValue),
    ],
)
def test_what_cannot_be_made_is_refused(head: Head, wanted: Draft, error: type[Exception]) -> None:
    with pytest.raises(error):
        made(head, wanted)


def test_events_of_one_transaction_share_time_and_number() -> None:
    other = UUID(int=99)
    heads = {ENTITY: head_of(START), other: Head(other, KIND.name, head_of().memo)}
    wanted = [
        draft({"name": "b"}),
        Draft(other, "detail.changed", {"name": {"value": "x"}}, KIND, is_new=True),
    ]
    one, two = events_of(wanted, heads, Author(None, "loc1", 100))
    assert (one.ts, one.tx, one.tx_size) == (two.ts, two.tx, two.tx_size) == (100, one.tx, 2)
    assert (one.tx_index, two.tx_index) == (0, 1)


def test_personal_values_name_their_subject() -> None:
    (one,) = made(head_of(START), draft({"name": "b"}))
    assert one.subject_uid == ENTITY
    (two,) = made(head_of(START), draft({"deleted": True}))
    assert two.subject_uid is None
    (three,) = made(head_of(START), draft({"deleted": True}, reason="asked"))
    assert three.subject_uid == ENTITY


# A release later: a phone is two groups, and what used to be a surname is a family name.
def _phones(fields: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    dialled = str(fields["value"] or "").partition("/")
    return {"prefix": {"value": dialled[0] or None}, "number": {"value": dialled[2] or None}}


def _phone(parts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    said = [parts.get(name, {}).get("value") or "" for name in ("prefix", "number")]
    return {"value": "/".join(said) if any(said) else None}


SPLIT = Regrouped("phone", ("prefix", "number"), {"value": TEXT}, _phones, _phone)
RENAMED = Regrouped(
    "surname",
    ("family",),
    {"value": TEXT},
    lambda fields: {"family": fields},
    lambda parts: parts["family"],
)
LATER = replace(
    KIND,
    event_types={"detail.changed": 3},
    clear_groups=STRUCTURAL_GROUPS | {"prefix", "number", "phone"},
    steps=((SPLIT,), (RENAMED,)),
)
NOBODY: Mapping[str, int] = {}


def later(values: Mapping[str, Any], readers: Sequence[Mapping[str, int]], **given: Any) -> Event:
    head = Head(ENTITY, LATER.name, fold([IN_PARTS, CALLED], DETAIL.rows).memo, version=3)
    wanted = replace(draft(values, **given), kind=LATER)
    author = Author(actor=None, origin="loc1", now=100)
    (one,) = events_of([wanted], {ENTITY: head}, author, readers)
    return one


IN_PARTS = event(10, {"prefix": "030", "number": "1"})
CALLED = event(20, {"number": "2", "family": "Ek"})


@pytest.mark.feature("S09")
@pytest.mark.parametrize(
    ("readers", "version"),
    [
        ([], 3),
        ([{"detail.changed": 3}], 3),
        ([{"detail.changed": 4}, {"detail.changed": 3}], 3),
        ([{"detail.changed": 3}, {"detail.changed": 2}], 2),
        ([{"detail.changed": 3}, NOBODY], 1),
        ([{"something.else": 3}], 1),
    ],
)
def test_the_newest_version_that_all_read_is_written(
    readers: Sequence[Mapping[str, int]], version: int
) -> None:
    assert later({"family": "Dahl"}, readers).schema_version == version


@pytest.mark.feature("S09")
def test_older_than_what_a_release_still_writes_it_never_writes() -> None:
    no_way_back = replace(LATER, steps=((replace(SPLIT, down=None),), (RENAMED,)))
    assert version_for(no_way_back, "detail.changed", [NOBODY]) == 2
    assert version_for(replace(LATER, steps=((), ())), "detail.changed", [NOBODY]) == 1


@pytest.mark.feature("S09")
def test_an_older_version_names_the_groups_as_it_did() -> None:
    one = later({"family": "Dahl"}, [{"detail.changed": 1}])
    assert one.set == {"surname": {"value": "Dahl"}}
    assert one.base == {
        "surname": CALLED.stamp, "deleted": None, "merged_into": None,
        "phone": CALLED.stamp,  # of the last change of another group
    }  # fmt: skip
    assert one.subject_uid == ENTITY


@pytest.mark.feature("S09")
def test_a_part_of_an_older_group_is_written_with_the_rest_of_it() -> None:
    one = later({"number": "3"}, [{"detail.changed": 1}])
    assert one.set == {"phone": {"value": "030/3"}}
    assert one.base == {
        "phone": IN_PARTS.stamp, "deleted": None, "merged_into": None, "surname": CALLED.stamp,
    }  # fmt: skip
    assert one.subject_uid is None, "it was clear before, too"
    closing = later({"deleted": True}, [{"detail.changed": 1}])
    assert closing.base == {
        "phone": IN_PARTS.stamp, "surname": CALLED.stamp, "deleted": None, "merged_into": None,
    }  # fmt: skip


@pytest.mark.feature("S09")
def test_what_an_older_version_cannot_say_is_refused() -> None:
    with pytest.raises(InvalidValue, match="older release") as refused:
        later({"number": "3", "prefix": "0/30"}, [{"detail.changed": 1}])
    assert refused.value.field == "prefix"
    assert later({"number": "3", "prefix": "0/30"}, []).set["prefix"] == {"value": "0/30"}
