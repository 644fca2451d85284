"""Days as they are in the network, and what a chart shows of them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cockpit.periods import (
    DAY,
    EARLIEST,
    HOUR,
    LATEST,
    MONTH,
    MOST_BUCKETS,
    MOST_YEARS,
    WEEK,
    YEAR,
    Buckets,
    Period,
    buckets_of,
)

pytestmark = pytest.mark.feature("R03")

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = ("UTC", "Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Kathmandu")


def buckets(first: str, last: str, zone: str = "Europe/Berlin") -> Buckets:
    return buckets_of(Period(date.fromisoformat(first), date.fromisoformat(last), ZoneInfo(zone)))


@pytest.mark.parametrize(
    ("first", "last", "step", "count"),
    [
        ("2025-10-01", "2025-10-01", HOUR, 24),
        ("2025-10-01", "2025-10-02", HOUR, 48),
        ("2025-10-01", "2025-10-03", DAY, 3),
        ("2025-07-01", "2025-08-31", DAY, 62),
        ("2025-07-01", "2025-09-01", WEEK, 10),
        ("2025-01-01", "2025-12-31", WEEK, 53),
        ("2024-01-01", "2025-12-31", MONTH, 24),
        ("2020-01-31", "2025-03-01", YEAR, 6),
        ("1970-01-01", "2029-12-31", YEAR, MOST_YEARS),
    ],
)
def test_the_step_follows_the_length(first: str, last: str, step: str, count: int) -> None:
    found = buckets(first, last)
    assert (found.step, len(found.edges), len(found.days)) == (step, count, count)


def test_the_day_the_clock_goes_back_has_25_hours() -> None:
    found = buckets("2025-10-26", "2025-10-26")
    local = [edge.astimezone(BERLIN) for edge in found.edges]
    assert len(local) == 25
    assert [moment.strftime("%H %Z") for moment in local[1:5]] == [
        "01 CEST", "02 CEST", "02 CET", "03 CET",
    ]  # fmt: skip


def test_the_day_the_clock_goes_forward_has_23_hours() -> None:
    local = [edge.astimezone(BERLIN) for edge in buckets("2025-03-30", "2025-03-30").edges]
    assert len(local) == 23
    assert [moment.strftime("%H") for moment in local[1:4]] == ["01", "03", "04"]


def test_days_begin_at_their_own_midnight() -> None:
    found = buckets("2025-10-25", "2025-10-27")
    assert found.edges == (
        datetime(2025, 10, 24, 22, tzinfo=UTC),
        datetime(2025, 10, 25, 22, tzinfo=UTC),
        datetime(2025, 10, 26, 23, tzinfo=UTC),
    )
    period = Period(date(2025, 10, 25), date(2025, 10, 27), BERLIN)
    assert (period.start, period.end) == (found.edges[0], datetime(2025, 10, 27, 23, tzinfo=UTC))


def test_a_day_whose_midnight_the_clock_skips_begins_an_hour_later() -> None:
    found = buckets("2018-11-04", "2018-11-04", "America/Sao_Paulo")
    first = found.edges[0].astimezone(ZoneInfo("America/Sao_Paulo"))
    assert (len(found.edges), first.isoformat()) == (23, "2018-11-04T01:00:00-02:00")


def test_weeks_begin_on_mondays_but_the_first_with_the_period() -> None:
    found = buckets("2025-07-03", "2025-09-09")  # a Thursday and a Tuesday
    assert found.days[:2] == (
        (date(2025, 7, 3), date(2025, 7, 6)),
        (date(2025, 7, 7), date(2025, 7, 13)),
    )
    assert found.days[-1] == (date(2025, 9, 8), date(2025, 9, 9))


@given(
    st.dates(EARLIEST, date(LATEST.year - MOST_YEARS, 1, 1)),
    st.integers(0, (MOST_YEARS - 1) * 365),
    st.sampled_from(ZONES),
)
def test_parts_fill_the_period(first: date, days: int, zone: str) -> None:
    period = Period(first, first + timedelta(days=days), ZoneInfo(zone))
    found = buckets_of(period)
    assert 1 <= len(found.edges) <= MOST_BUCKETS
    assert found.edges[0] == period.start
    assert all(one < other for one, other in pairwise([*found.edges, period.end]))
    assert (found.days[0][0], found.days[-1][1]) == (period.first, period.last)
    if found.step != HOUR:
        assert all(b[0] - a[1] == timedelta(days=1) for a, b in pairwise(found.days))
