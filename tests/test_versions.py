"""What an older release wrote means the same in the next one, and back."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.conflicts import conflicts, item_id
from events.envelope import Event
from events.errors import UndecodableEvent
from events.fold import fold
from events.registry import Kind, register
from events.tests.histories import TEXTS, WIDE, make
from events.tests.making import event
from events.versions import TEXT, Regrouped, forms_before, newer, older, upcast
from tests.sample.models import FORMS, OFFER
from tests.sample.next_release import NEXT_OFFER, STEP
from tests.test_laws import with_resolutions

pytestmark = pytest.mark.feature("S09")

FORMERLY = {"amount": "price", "currency": "price", "remark": "note"}
PRICE = {"amount": "1.00", "currency": "EUR"}


def one(ts: int = 10, **groups: object) -> Event:
    return event(ts, groups)


def test_a_split_and_a_renamed_group_are_read_as_they_are_now() -> None:
    seen = one(5, price=PRICE)
    made = event(10, {"price": PRICE, "note": {"note": "x"}, "title": "t"}, knowing={"price": seen})
    read = upcast(made, [STEP])
    assert read.set == {
        "amount": {"amount": "1.00"},
        "currency": {"currency": "EUR"},
        "remark": {"note": "x"},
        "title": {"value": "t"},
    }
    assert read.base == {
        "amount": seen.stamp, "currency": seen.stamp, "remark": None, "title": None,
        "deleted": None, "merged_into": None,
    }  # fmt: skip
    assert read.formerly == {name: (old,) for name, old in FORMERLY.items()}
    assert read.schema_version == 2
    unchanged = ("event_id", "stamp", "effective_at", "tx", "voids", "resolves", "actor")
    assert all(getattr(read, name) == getattr(made, name) for name in unchanged)


def test_what_is_of_the_present_version_stays_as_it_is() -> None:
    made = replace(one(remark="x"), schema_version=2)
    assert upcast(made, [STEP]) is made


def test_of_values_that_cannot_be_read_here_only_the_names_change() -> None:
    read = upcast(one(price={}, note={}), [STEP])
    assert read.set == {"amount": {}, "currency": {}, "remark": {}}


def test_values_of_another_form_than_their_version_has_are_no_event() -> None:
    with pytest.raises(UndecodableEvent):
        upcast(one(price={"amount": "1.00"}), [STEP])


def test_steps_follow_each_other_and_remember_all_names() -> None:
    again = (
        Regrouped(
            "remark",
            ("comment",),
            {"note": TEXT},
            lambda f: {"comment": {"text": f["note"]}},
            lambda parts: {"note": parts["comment"]["text"]},
        ),
    )
    read = upcast(one(note={"note": "x"}), [STEP, again])
    assert read.set == {"comment": {"text": "x"}}
    assert read.formerly == {"comment": ("note", "remark")}
    assert read.schema_version == 3
    said, _ = older(read.set, {}, {}, [STEP, again])
    assert said == {"note": {"note": "x"}}
    assert forms_before({"comment": {"text": TEXT}}, [again]) == {"remark": {"note": TEXT}}


def test_forms_of_the_version_before_are_those_it_had() -> None:
    assert forms_before(NEXT_OFFER.groups, NEXT_OFFER.steps) == FORMS


def test_an_older_group_is_written_whole() -> None:
    known = {"amount": {"amount": "1.00"}, "currency": {"currency": "EUR"}, "title": {"title": "t"}}
    said, _ = older({"amount": {"amount": "2.00"}}, known, {}, [STEP])
    assert said == {"price": {"amount": "2.00", "currency": "EUR"}}


def test_what_an_author_may_not_have_seen_counts_as_unseen() -> None:
    early, late = one(10, amount="x").stamp, one(20, currency="x").stamp
    _, stamps = older({}, {}, {"amount": late, "currency": early, "remark": late}, [STEP])
    assert stamps == {"price": early, "note": late}
    _, stamps = older({}, {}, {"amount": late, "title": early}, [STEP])
    assert stamps == {"title": early}


values = st.sampled_from(TEXTS)
states = st.fixed_dictionaries(
    {},
    optional={
        "title": st.fixed_dictionaries({"title": values}),
        "amount": st.fixed_dictionaries({"amount": values}),
        "currency": st.fixed_dictionaries({"currency": values}),
        "remark": st.fixed_dictionaries({"note": values}),
    },
)


@given(states, states)
def test_what_is_written_in_an_older_form_is_read_as_it_was_meant(known, changed) -> None:
    said, _ = older(changed, known, {}, [STEP])
    assert said.keys() <= FORMS.keys()
    assert all(fields.keys() == FORMS[group].keys() for group, fields in said.items())
    read = newer(said, [STEP])
    assert read.keys() >= changed.keys()
    meant = {**known, **changed}
    for group, fields in read.items():
        assert fields == meant.get(group, dict.fromkeys(fields))


@given(st.data())
def test_rows_and_conflicts_of_what_was_written_before_stay_the_same(data: st.DataObject) -> None:
    history = make(lambda n: data.draw(st.integers(0, n - 1)), WIDE, 12)
    chance = random.Random(data.draw(st.integers(0, 2**16)))
    _check_same(with_resolutions(history, chance).events)


def test_many_histories_mean_the_same_in_the_next_release() -> None:
    chance, items, resolved = random.Random(5), 0, 0
    for _ in range(300):
        history = with_resolutions(make(chance.randrange, WIDE, 24), chance)
        _check_same(history.events)
        found = conflicts(history.events)
        items += len(found)
        resolved += sum(item.resolved_by is not None for item in found)
    assert min(items, resolved) > 50, "a law that met nothing would say nothing"


def _check_same(events: list[Event]) -> None:
    read = [upcast(made, [STEP]) for made in events]
    assert fold(read, NEXT_OFFER.rows).versions == fold(events, OFFER.rows).versions
    then = {(c.earlier, c.later, c.group, c.is_closing, c.resolved_by) for c in conflicts(events)}
    now = {
        (c.earlier, c.later, FORMERLY.get(c.group, c.group), c.is_closing, c.resolved_by)
        for c in conflicts(read)
    }
    assert now == then


def test_a_conflict_resolved_in_an_older_release_is_resolved() -> None:
    first = one(10, note={"note": "a"})
    second = event(11, {"note": {"note": "b"}}, origin="loc2")
    settles = event(
        12,
        {},
        resolves=(item_id(first.event_id, second.event_id, "note"),),
    )
    events = [upcast(made, [STEP]) for made in (first, second, settles)]
    (item,) = conflicts(events)
    assert (item.group, item.resolved_by) == ("remark", settles.event_id)


def test_all_events_of_a_kind_are_of_its_version() -> None:
    with pytest.raises(ValueError, match="all events are of version 2"):
        register(
            Kind("sample.other", {"a": 2, "b": 1}, {}, OFFER.rows, steps=((),)),
        )
