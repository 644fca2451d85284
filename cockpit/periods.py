"""Days of the network, and the hours, days, weeks, months or years that a chart shows of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import islice
from typing import Final

HOUR, DAY, WEEK, MONTH, YEAR = STEPS = ("hour", "day", "week", "month", "year")
MOST_BUCKETS: Final = 62  # two months of days
DEFAULT_DAYS: Final = 7
EARLIEST, LATEST = date(1970, 1, 1), date(2999, 12, 31)
MOST_YEARS: Final = 60  # a bar each


@dataclass(frozen=True, slots=True)
class Period:
    """Whole days, ``first`` and ``last`` within, as they begin and end in ``zone``."""

    first: date
    last: date
    zone: tzinfo

    @property
    def start(self) -> datetime:
        """The instant when the first day begins."""
        return _midnight(self.first, self.zone)

    @property
    def end(self) -> datetime:
        """The instant when the last day is over."""
        return _midnight(self.last + timedelta(days=1), self.zone)


@dataclass(frozen=True, slots=True)
class Buckets:
    """The parts of a period: of which step, and of each its days and the instant it starts."""

    step: str
    days: tuple[tuple[date, date], ...]  # the first and the last, both within
    edges: tuple[datetime, ...]


def buckets_of(period: Period) -> Buckets:
    """Return the parts of a period in the finest step that makes no more than a chart can show."""
    for step in STEPS:
        starts = list(islice(_starts(period, step), MOST_BUCKETS + 1))
        if len(starts) <= MOST_BUCKETS:
            days, edges = zip(*starts, strict=True)
            return Buckets(step, tuple(zip(days, _lasts(days, period), strict=True)), edges)
    raise ValueError(f"longer than {MOST_BUCKETS} years")


def _starts(period: Period, step: str) -> Iterator[tuple[date, datetime]]:
    """Yield where the parts start: the first with the period, each other with its own hour or day.

    Hours are stepped through in UTC: one that the clock skips is none, one that it repeats is two.
    """
    day = period.first
    while day <= period.last:
        midnight = _midnight(day, period.zone)
        if step == HOUR:
            over = _midnight(day + timedelta(days=1), period.zone)
            hours = -(-(over - midnight) // timedelta(hours=1))
            yield from ((day, midnight + timedelta(hours=hour)) for hour in range(hours))
        else:
            yield day, midnight
        day = _next(day, step)


def _lasts(days: tuple[date, ...], period: Period) -> Iterator[date]:
    """Yield on which day each part ends: before the next begins, but never before it begins."""
    for day, after in zip(days, [*days[1:], period.last + timedelta(days=1)], strict=True):
        yield max(day, after - timedelta(days=1))


def _next(day: date, step: str) -> date:
    if step == WEEK:
        return day + timedelta(days=7 - day.weekday())
    if step == MONTH:
        return (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    if step == YEAR:
        return date(day.year + 1, 1, 1)
    return day + timedelta(days=1)


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time.min, tzinfo=zone).astimezone(UTC)
