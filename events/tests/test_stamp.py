"""One order of all events, in integers."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.stamp import Stamp, next_ts, stamp_from_json, to_datetime, to_micros, uuid7

LAST = to_micros(datetime(9999, 12, 31, tzinfo=UTC))
instants = st.integers(0, LAST)
stamps = st.builds(Stamp, instants, st.text(min_size=1), st.uuids())


@pytest.mark.parametrize(
    ("smaller", "greater"),
    [
        (Stamp(1, "loc2", UUID(int=9)), Stamp(2, "loc1", UUID(int=1))),
        (Stamp(1, "loc1", UUID(int=9)), Stamp(1, "loc2", UUID(int=1))),
        (Stamp(1, "loc1", UUID(int=1)), Stamp(1, "loc1", UUID(int=2))),
        (Stamp(1, "Z", UUID(int=1)), Stamp(1, "a", UUID(int=1))),
        (Stamp(1, "z", UUID(int=1)), Stamp(1, "é", UUID(int=1))),
    ],
)
@pytest.mark.feature("S04")
def test_order_is_time_then_origin_then_event(smaller: Stamp, greater: Stamp) -> None:
    assert smaller < greater


@given(stamps, stamps)
def test_order_is_that_of_the_bytes(one: Stamp, other: Stamp) -> None:
    def as_bytes(stamp: Stamp) -> tuple[int, bytes, bytes]:
        return stamp.ts, stamp.origin.encode(errors="surrogatepass"), stamp.event_id.bytes

    assert (one < other) == (as_bytes(one) < as_bytes(other))


@given(stamps)
def test_stamp_survives_json(stamp: Stamp) -> None:
    assert stamp_from_json(stamp.to_json()) == stamp
    assert stamp_from_json(None) is None


@given(st.integers(), st.integers())
def test_next_ts_wins_over_what_it_was_based_on(now: int, last: int) -> None:
    ts = next_ts(now, last)
    assert ts > last
    assert ts >= now
    assert ts in {now, last + 1}


@given(instants)
def test_uuid7_is_one_and_holds_its_time(now: int) -> None:
    made = uuid7(now)
    assert made.version == 7
    assert made.variant == UUID(int=2 << 62).variant
    assert made.int >> 80 == now // 1000


@given(instants, instants)
def test_uuid7_orders_by_time(one: int, other: int) -> None:
    early, late = sorted((one, other))
    assert (uuid7(early).int >> 64) <= (uuid7(late).int >> 64)
    assert uuid7(late) != uuid7(late)


@given(instants)
def test_micros_and_datetime_are_the_same_instant(micros: int) -> None:
    assert to_micros(to_datetime(micros)) == micros
    assert to_datetime(micros).tzinfo is UTC


def test_an_instant_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        to_micros(datetime(2026, 1, 1))  # noqa: DTZ001 - what is refused
