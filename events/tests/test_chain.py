from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from events import chain
from events.chain import Head, head_from_json

pytestmark = pytest.mark.feature("S10")

SEED = b"s" * 32
KEY = chain.public_key(SEED)


def head(**other: Any) -> Head:
    said = Head("loc1", 1, 3, chain.start("loc1", 1))
    return chain.sign(replace(said, **other), SEED)


def test_byte_forms_are_fixed():
    """What is written here is in every location's database: it can never change."""
    start = hashlib.sha256(b"loc1" + b"\0\0\0\0\0\0\0\1").digest()
    assert chain.start("loc1", 1) == start
    after = hashlib.sha256(start + hashlib.sha256(b"raw").digest()).digest()
    assert chain.step(start, b"raw") == after
    said = f'sins head\n{{"chain":"{start.hex()}","epoch":1,"origin":"loc1","seq":3}}'
    assert head().signed_bytes() == said.encode()


def test_steps_are_the_chain_after_each():
    one = chain.step(chain.start("a", 1), b"1")
    assert list(chain.steps(chain.start("a", 1), [b"1", b"2"])) == [one, chain.step(one, b"2")]


def test_streams_begin_differently():
    starts = {chain.start(origin, epoch) for origin in ("a", "ab") for epoch in (1, 2)}
    assert len(starts) == 4


def test_order_matters():
    start = chain.start("a", 1)
    assert list(chain.steps(start, [b"1", b"2"]))[-1] != list(chain.steps(start, [b"2", b"1"]))[-1]


def test_own_signature_holds():
    assert chain.is_signed_by(head(), KEY)


@pytest.mark.parametrize(
    "change",
    [{"origin": "loc2"}, {"epoch": 2}, {"seq": 4}, {"chain": bytes(32)}, {"signature": bytes(64)},
     {"signature": b"short"}],
)  # fmt: skip
def test_anything_else_does_not(change):
    assert not chain.is_signed_by(replace(head(), **change), KEY)


def test_another_key_does_not():
    assert not chain.is_signed_by(head(), chain.public_key(b"t" * 32))
    assert not chain.is_signed_by(head(), b"no key")


def test_travels_as_json():
    assert head_from_json(head().to_json()) == head()


@pytest.mark.parametrize(
    "change",
    [{"seq": "3"}, {"seq": -1}, {"seq": 2**63}, {"epoch": True}, {"epoch": 2**31},
     {"chain": "zz"}, {"chain": None}, {"signature": 5}],
)  # fmt: skip
def test_malformed_is_refused(change):
    with pytest.raises(ValueError, match=r"."):
        head_from_json({**head().to_json(), **change})
    with pytest.raises(ValueError, match="not a head"):
        head_from_json({})
