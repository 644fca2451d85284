"""Where the bars of a chart stand."""

from __future__ import annotations

import pytest

from cockpit.charts import LOWEST, MOST_MARKS, WIDEST, draw

pytestmark = pytest.mark.feature("R03")


def percent(text: str) -> float:
    assert text.endswith("%")
    return float(text[:-1])


def chart(*values: dict[str, int]):
    words = [f"bar {number}" for number in range(len(values))]
    return draw(values, words, words)


def test_a_bar_is_as_high_as_its_number_and_stands_on_the_ground() -> None:
    high, low, none = chart({"a": 5, "b": 3}, {"b": 2}, {}).bars
    assert [part.series for part in high.segments] == ["a", "b"]
    below, above = high.segments
    assert percent(below.y) + percent(below.height) == 100
    assert percent(above.y) + percent(above.height) == percent(below.y)
    assert percent(above.y) == 0  # the scale ends at 8
    assert percent(low.segments[0].height) == 25
    assert none.segments == []


def test_what_is_counted_at_all_is_seen() -> None:
    one, _ = chart({"a": 1}, {"a": 100_000}).bars
    assert percent(one.segments[0].height) == LOWEST


@pytest.mark.parametrize(
    ("highest", "ticks"),
    [(0, [0, 1]), (1, [0, 1]), (3, [0, 2, 4]), (8, [0, 4, 8]), (10, [0, 5, 10]),
     (11, [0, 6, 12]), (99, [0, 50, 100]), (101, [0, 60, 120]), (2_400, [0, 1200, 2400])],
)  # fmt: skip
def test_the_scale_ends_at_a_round_number(highest: int, ticks: list[int]) -> None:
    assert [tick.value for tick in chart({"a": highest}).ticks] == ticks


@pytest.mark.parametrize("count", [1, 2, 7, 12, 13, 25, 31, 62])
def test_bars_keep_to_their_places_and_marks_have_room(count: int) -> None:
    drawn = chart(*[{"a": 1}] * count)
    ends = 0.0
    for bar in drawn.bars:
        left, width = percent(bar.x), percent(bar.width)
        assert ends <= left
        assert width <= WIDEST + 0.001
        ends = left + width
    assert ends <= 100
    assert 1 <= len(drawn.marks) <= MOST_MARKS
    assert 1 <= sum(mark.is_major for mark in drawn.marks) <= 4
    assert drawn.marks[0].is_major
