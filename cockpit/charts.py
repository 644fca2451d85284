"""A chart of bars, as numbers for an SVG that stretches with the page: places are in percent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

GAP: Final = 0.22  # of a bar's place
WIDEST, LOWEST = 7.0, 1.2  # percent; what is counted at all is seen
MOST_MARKS, MOST_MARKS_NARROW = 12, 4
# Where a scale ends; beyond ten, these times a power of ten. They halve into whole numbers.
_FEW: Final = (1, 2, 4, 6, 8, 10)
_MANY: Final = (10, 12, 16, 20, 24, 30, 40, 50, 60, 80, 100)


@dataclass(frozen=True, slots=True)
class Segment:
    """The part of a bar that one series makes."""

    series: str
    y: str
    height: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: the words it is about, and its segments from the bottom up."""

    title: str
    place: str
    place_width: str
    x: str
    width: str
    segments: Sequence[Segment]


@dataclass(frozen=True, slots=True)
class Tick:
    """A height of the scale."""

    value: int
    y: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Words below a bar; on a narrow screen only the major ones have room."""

    text: str
    x: str
    is_major: bool


@dataclass(frozen=True, slots=True)
class Chart:
    """What is drawn."""

    bars: Sequence[Bar]
    ticks: Sequence[Tick]
    marks: Sequence[Mark]


def draw(values: Sequence[Mapping[str, int]], titles: Sequence[str], marks: Sequence[str]) -> Chart:
    """Return a chart with a bar for each of ``values``, its series stacked in the order of names.

    ``titles`` and ``marks`` are the long and the short words for each bar.
    """
    place = 100 / len(values)
    width = min((1 - GAP) * place, WIDEST)
    top = _top(max(sum(value.values()) for value in values))
    every = -(-len(values) // MOST_MARKS)
    major = every * -(-len(values) // (every * MOST_MARKS_NARROW))
    return Chart(
        bars=[
            Bar(
                title=title,
                place=_percent(number * place),
                place_width=_percent(place),
                x=_percent((number + 0.5) * place - width / 2),
                width=_percent(width),
                segments=_segments(value, top),
            )
            for number, (value, title) in enumerate(zip(values, titles, strict=True))
        ],
        ticks=[Tick(value, _percent(100 - 100 * value / top)) for value in _ticks(top)],
        marks=[
            Mark(mark, _percent((number + 0.5) * place), number % major == 0)
            for number, mark in enumerate(marks)
            if number % every == 0
        ],
    )


def _segments(value: Mapping[str, int], top: int) -> list[Segment]:
    total = sum(value.values())
    height = max(100 * total / top, LOWEST) if total else 0
    segments, bottom = [], 100.0
    for series in sorted(name for name, number in value.items() if number):
        part = height * value[series] / total
        bottom -= part
        segments.append(Segment(series, _percent(bottom), _percent(part)))
    return segments


def _top(highest: int) -> int:
    """Return the round number where the scale ends, not below ``highest``."""
    if highest <= _FEW[-1]:
        return next(top for top in _FEW if top >= highest)
    power: int = 10 ** (len(str(highest)) - 2)
    return next(top * power for top in _MANY if top * power >= highest)


def _ticks(top: int) -> list[int]:
    return [0, top // 2, top] if top % 2 == 0 else [0, top]


def _percent(number: float) -> str:
    return f"{number:.3f}%"
