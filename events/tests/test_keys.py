"""Personal values are readable with their key only, and in no other place."""

from __future__ import annotations

import base64
import os
from dataclasses import replace
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st

from events.envelope import Event, from_raw
from events.errors import MissingKey
from events.keys import hashdiff, kid, open_event, open_state, seal, seal_state, unwrap
from events.registry import STRUCTURAL_GROUPS
from events.tests.making import event

SUBJECT = UUID(int=5)
KEY = bytes(range(32))
# What an origin lets through: PostgreSQL keeps neither NUL nor half a character.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))


def wrapped(key: bytes = KEY) -> bytes:
    return aes_key_wrap(base64.b64decode(settings.WRAPPING_KEY), key)


def personal(name: str = "Ann Miller", reason: str | None = None) -> Event:
    return event(
        10, {"name": name, "type": "PERSON"}, subject_uid=SUBJECT, reason=reason, actor=UUID(int=8)
    )


@given(texts, st.none() | texts)
def test_a_sealed_event_opens_to_what_it_was(name: str, reason: str | None) -> None:
    made = personal(name, reason)
    raw, ct = seal(made, STRUCTURAL_GROUPS, KEY)
    opened = open_event(raw, ct, wrapped())
    assert replace(opened, secret=None) == made


def test_no_personal_value_stands_beside_the_ciphertext() -> None:
    raw, ct = seal(personal("Ann Miller", "she asked"), STRUCTURAL_GROUPS, KEY)
    for text in (b"Miller", b"asked"):
        assert text not in raw
        assert text not in ct
    assert from_raw(raw).set == {"name": {}, "type": {"value": "PERSON"}}


def test_the_secret_names_key_nonce_and_hash() -> None:
    raw, _ = seal(personal(), STRUCTURAL_GROUPS, KEY)
    secret = from_raw(raw).secret
    assert secret is not None
    assert secret.kid == kid((SUBJECT, "loc1")) == f"{SUBJECT}:loc1"
    assert len(bytes.fromhex(secret.iv)) == 12
    assert len(bytes.fromhex(secret.sha256)) == 32


def test_no_nonce_is_used_twice() -> None:
    made = personal()
    sealed = [seal(made, STRUCTURAL_GROUPS, KEY) for _ in range(50)]
    assert len({ct for _, ct in sealed}) == 50


def test_a_missing_key_is_said_never_folded_to_nothing() -> None:
    raw, ct = seal(personal(), STRUCTURAL_GROUPS, KEY)
    for lacking in ((raw, ct, None), (raw, None, wrapped()), (raw, None, None)):
        with pytest.raises(MissingKey):
            open_event(*lacking)


@pytest.mark.feature("S10")
def test_a_changed_ciphertext_does_not_open() -> None:
    raw, ct = seal(personal(), STRUCTURAL_GROUPS, KEY)
    for changed in (ct[:-1] + bytes([ct[-1] ^ 1]), ct[:-1], b""):
        with pytest.raises(MissingKey):
            open_event(raw, changed, wrapped())


@pytest.mark.feature("S10")
def test_a_ciphertext_moved_to_another_event_does_not_open() -> None:
    raw, _ = seal(personal("Ann"), STRUCTURAL_GROUPS, KEY)
    _, other = seal(personal("Bob"), STRUCTURAL_GROUPS, KEY)
    with pytest.raises(MissingKey):
        open_event(raw, other, wrapped())


@pytest.mark.feature("S10")
def test_a_changed_envelope_does_not_open() -> None:
    raw, ct = seal(personal(), STRUCTURAL_GROUPS, KEY)
    assert b'"ts":10' in raw
    with pytest.raises(MissingKey):
        open_event(raw.replace(b'"ts":10', b'"ts":11'), ct, wrapped())


def test_another_key_does_not_open() -> None:
    raw, ct = seal(personal(), STRUCTURAL_GROUPS, KEY)
    for other in (wrapped(os.urandom(32)), aes_key_wrap(os.urandom(32), KEY)):
        with pytest.raises(MissingKey):
            open_event(raw, ct, other)


def test_personal_values_need_a_subject() -> None:
    with pytest.raises(ValueError, match="subject"):
        seal(event(10, {"name": "Ann"}), STRUCTURAL_GROUPS, KEY)


def test_a_group_named_like_the_secret_does_not_confuse_it() -> None:
    made = replace(personal(), set={"secret": {"value": "x"}, "type": {"value": "PERSON"}})
    raw, ct = seal(made, STRUCTURAL_GROUPS | {"secret"}, KEY)
    assert replace(open_event(raw, ct, wrapped()), secret=None) == made


def test_wrapping_is_undone() -> None:
    assert unwrap(wrapped()) == KEY


def test_a_heads_state_is_sealed() -> None:
    state = {"name": {"value": "Ann Miller"}}
    sealed = seal_state(state)
    assert b"Miller" not in sealed
    assert open_state(sealed) == state
    assert open_state(b"") == {}
    assert seal_state(state) != sealed


def test_hashdiff_says_equal_and_nothing_else() -> None:
    assert hashdiff({"a": 1, "b": "x"}) == hashdiff({"b": "x", "a": 1})
    assert hashdiff({"a": "1"}) != hashdiff({"a": 1})
    assert hashdiff({"a": None}) != hashdiff({})
    assert len(hashdiff({})) == 16
