"""What Kafka holds is each number since it began, as it was signed; else it is said."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from events import chain
from events.chain import Head
from events.location_keys import Key
from events.records import of_head
from ops.chaos.processes.topics import Kept, Number, wrong_heads, wrong_items

SEED = bytes(32)
KEYS = {"loc1": (Key(chain.public_key(SEED)),), "loc2": ()}
STREAMS = [("loc1", 1, 3), ("loc1", 2, 2), ("loc2", 1, 2)]
NUMBERS = {
    (origin, epoch, seq): Kept(b"%s %d %d" % (origin.encode(), epoch, seq), b"raw", b"ct")
    for origin, epoch, last in STREAMS
    for seq in range(1, last + 1)
}
ALL = {"loc1 1": 3, "loc1 2": 2, "loc2 1": 2}


def wrong(
    left_out: Iterable[Number] = (),
    since: dict[str, int] | None = None,
    more: Iterable[tuple[Number, Kept]] = (),
) -> list[str]:
    items = [(number, kept) for number, kept in NUMBERS.items() if number not in left_out]
    return list(wrong_items([*items, *more], NUMBERS, since or {}))


def test_all_numbers_also_twice_are_right() -> None:
    assert wrong() == []
    assert wrong(more=NUMBERS.items()) == []


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_that_lacks_is_seen(number: Number) -> None:
    origin, epoch, seq = number
    assert wrong([number]) == [f"Kafka lacks number {seq} of {origin}, epoch {epoch}"]


def test_what_lacks_since_kafka_began_anew_is_seen() -> None:
    assert wrong([("loc1", 1, 1), ("loc1", 1, 2)], ALL) == []
    assert wrong([("loc1", 1, 1), ("loc1", 1, 2)], {**ALL, "loc1 1": 1}) == [
        "Kafka lacks number 2 of loc1, epoch 1"
    ]
    assert wrong([("loc1", 1, 2)], ALL) == ["Kafka lacks number 2 of loc1, epoch 1"]
    assert wrong([("loc1", 2, 1)], ALL) == ["Kafka lacks number 1 of loc1, epoch 2"]
    loc2 = [("loc2", 1, 1), ("loc2", 1, 2)]
    assert wrong(loc2, ALL) == []  # nothing was numbered
    assert len(wrong(loc2, {})) == 2


@pytest.mark.parametrize("other", [{"chain": b"x"}, {"raw": b"x"}, {"ct": b"x"}, {"ct": None}])
def test_other_bytes_under_a_number_are_seen(other: dict[str, bytes]) -> None:
    number = ("loc1", 1, 2)
    assert wrong(more=[(number, NUMBERS[number]._replace(**other))]) == [
        "Kafka holds something else as number 2 of loc1, epoch 1"
    ]


def test_a_number_that_nobody_gave_is_seen() -> None:
    assert len(wrong(more=[(("loc1", 2, 3), Kept(b"", b"", b""))])) == 1


def heads_wrong(head: Head, topic: str = "loc1") -> list[str]:
    return list(wrong_heads([(topic, of_head(head))], NUMBERS, KEYS))


def test_heads_are_signed_and_name_the_chain() -> None:
    head = chain.sign(Head("loc1", 1, 3, NUMBERS["loc1", 1, 3].chain), SEED)
    assert heads_wrong(head) == []
    assert ["signed" in each for each in heads_wrong(replace(head, signature=bytes(64)))] == [True]
    for other in (replace(head, chain=b"x"), replace(head, seq=4)):
        assert ["chain value" in each for each in heads_wrong(chain.sign(other, SEED))] == [True]
    assert len(heads_wrong(head, "loc2")) == 2  # another location's, and it has no such key
