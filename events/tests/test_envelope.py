"""The event's canonical bytes: made once, the same everywhere."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.envelope import Event, Secret, canonical, cloudevent, from_raw, normal, opened, to_raw
from events.errors import UndecodableEvent
from events.stamp import Stamp
from events.tests.histories import History, histories
from events.tests.making import event

FULL = Event(
    event_id=UUID(int=1),
    origin="loc1",
    entity_uid=UUID(int=2),
    type="sample.offer_changed",
    schema_version=1,
    ts=1_700_000_000_000_000,
    tx=UUID(int=3),
    tx_index=1,
    tx_size=2,
    set={"note": {"note": "Annabelle"}, "title": {"title": None}},
    base={"note": Stamp(5, "loc2", UUID(int=4)), "title": None},
    effective=1_600_000_000_000_000,
    subject_uid=UUID(int=2),
    voids=(UUID(int=6),),
    resolves=("ab",),
    actor=UUID(int=7),
    request_id="r",
    secret=Secret("k", "00", "11"),
)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def test_raw_is_these_very_bytes() -> None:
    uid = "00000000-0000-0000-0000-00000000000"
    assert to_raw(FULL, frozenset({"title"})).decode() == (
        f'{{"actor":"{uid}7","base":{{"note":[5,"loc2","{uid}4"],"title":null}},'
        f'"effective":1600000000000000,"entity_uid":"{uid}2","event_id":"{uid}1",'
        '"origin":"loc1","request_id":"r","resolves":["ab"],"schema_version":1,'
        '"secret":{"iv":"00","kid":"k","sha256":"11"},'
        f'"set":{{"note":{{}},"title":{{"title":null}}}},"subject_uid":"{uid}2",'
        f'"ts":1700000000000000,"tx":"{uid}3","tx_index":1,"tx_size":2,'
        f'"type":"sample.offer_changed","voids":["{uid}6"]}}'
    )


def test_absent_is_not_null() -> None:
    document = json.loads(to_raw(event(10, {"name": None})))
    assert document["set"] == {"name": {"value": None}}
    assert not {"effective", "voids", "resolves", "secret"} & document.keys()


@given(histories())
def test_raw_holds_the_whole_event(history: History) -> None:
    for made in history.events:
        raw = to_raw(made)
        assert from_raw(raw) == made
        assert to_raw(from_raw(raw)) == raw


def test_raw_without_personal_values_names_their_groups() -> None:
    raw = to_raw(FULL, frozenset({"title"}))
    assert b"Annabelle" not in raw
    sealed = from_raw(raw)
    assert sealed.set == {"note": {}, "title": {"title": None}}
    assert opened(sealed, {"note": {"note": "Annabelle"}}, "asked").set == FULL.set
    assert opened(sealed, {}, "asked").reason == "asked"


@given(json_values)
def test_canonical_survives_and_is_the_same_again(value: Any) -> None:
    try:
        raw = canonical(normal(value))
    except UnicodeEncodeError:  # half of a surrogate pair is no text
        return
    assert json.loads(raw) == normal(value)
    assert canonical(json.loads(raw)) == raw


def test_canonical_text_is_composed() -> None:
    assert normal("Jose\u0301") == "Jos\u00e9"
    assert normal({"nom\u0301": ["e\u0301"]}) == {"no\u1e3f": ["\u00e9"]}


def test_decimals_are_text_and_keep_their_scale() -> None:
    assert normal(Decimal("12.50")) == "12.50"
    assert normal((UUID(int=1),)) == [str(UUID(int=1))]


@pytest.mark.parametrize("value", [1.0, {"amount": 0.1}, [float("nan")], b"x", {1, 2}])
def test_what_has_no_canonical_form_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        normal(value)


def changed(**given: Any) -> bytes:
    document = json.loads(to_raw(FULL))
    for name, value in given.items():
        document.pop(name)
        if value is not ...:
            document[name] = value
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff",
        b"[]",
        b"null",
        b"{}",
        b'"text"',
        changed(event_id=...),
        changed(event_id="x"),
        changed(event_id=7),
        changed(ts="1"),
        changed(ts=True),
        changed(ts=1.5),
        changed(effective=None),
        changed(set=[]),
        changed(set={"note": 1}),
        changed(base={"note": [1]}),
        changed(base=None),
        changed(origin=None),
        changed(voids="x"),
        changed(secret={}),
        changed(ts=-1),
        changed(ts=10**18),
        changed(effective=-1),
        changed(effective=10**18),
        changed(tx_index=2**31),
        changed(schema_version=2**31),
        changed(origin="a\x00"),
        changed(type="\ud800"),
        changed(resolves=[{}]),
        changed(set={"price": {"amount": 0.1}}),
        changed(set={"price": {"amount": float("nan")}}),
        b'{"set":' + b"[" * 100_000,
    ],
)
@pytest.mark.feature("S03")
def test_bytes_that_are_no_event_are_called_so(raw: bytes) -> None:
    with pytest.raises(UndecodableEvent):
        from_raw(raw)


def test_takes_effect_never_later_than_its_stamp() -> None:
    assert event(10, {}).effective_at == 10
    assert event(10, {}, effective=4).effective_at == 4
    assert event(10, {}, effective=40).effective_at == 10


def test_cloudevent_attributes() -> None:
    attributes = cloudevent(FULL)
    assert attributes["specversion"] == "1.0"
    assert attributes["id"] == str(FULL.event_id)
    assert attributes["source"] == "/sins/loc1"
    assert attributes["subject"] == attributes["partitionkey"] == str(FULL.entity_uid)
    assert attributes["time"] == "2023-11-14T22:13:20Z"
    assert attributes["dataschema"] == "urn:sins:sample.offer_changed:1"
