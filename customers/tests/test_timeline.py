"""From versions to moments, and from spans to marks: pure, no database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from customers import timeline
from customers.queries import Customer, DetailVersion, HistoryLine
from customers.rows import marked, rows_of

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def _at(day: int | None) -> datetime | None:
    return None if day is None else T0 + timedelta(days=day)


def _line(code: str | None, value: Any, start: int, end: int | None, event: int) -> HistoryLine:
    fields = {"value": value} if code else {"display_name": value}
    return HistoryLine(
        code, fields, T0 + timedelta(days=start), _at(end), "loc1", None, UUID(int=event)
    )


def _said(lines: list[HistoryLine]) -> list[tuple[str, list[tuple[str, Any, Any]]]]:
    return [
        (moment.what, [(c.code, c.before, c.after) for c in moment.changes])
        for moment in timeline.moments(lines)
    ]


@pytest.mark.feature("T04")
def test_a_record_is_entered_changed_closed_and_opened_again() -> None:
    lines = [
        _line(None, "Ray", 0, 3, 1),
        _line("surname", "Ray", 0, 3, 1),
        _line("phone", "1", 0, 1, 1),
        _line("phone", "2", 1, 3, 2),
        _line(None, "Ray", 5, None, 4),
        _line("surname", "Ray", 5, None, 4),
        _line("phone", "2", 5, None, 4),
    ]
    assert _said(lines) == [
        ("restored", []),
        ("closed", []),
        ("changed", [("phone", "1", "2")]),
        ("entered", [("surname", None, "Ray"), ("phone", None, "1")]),
    ]


@pytest.mark.feature("T04")
def test_a_removed_value_stands_with_what_was_set_at_that_moment() -> None:
    lines = [
        _line(None, "Ray", 0, None, 1),
        _line("surname", "Ray", 0, None, 1),
        _line("email", "a@b.c", 0, 2, 1),
        _line("phone", "1", 2, None, 2),
    ]
    assert _said(lines)[0] == ("changed", [("phone", None, "1"), ("email", "a@b.c", None)])


@pytest.mark.feature("T04")
def test_a_value_may_go_and_come_back() -> None:
    lines = [
        _line(None, "Ray", 0, None, 1),
        _line("email", "a@b.c", 0, 1, 1),
        _line("email", "d@e.f", 4, None, 3),
    ]
    assert _said(lines)[:2] == [
        ("changed", [("email", None, "d@e.f")]),
        ("changed", [("email", "a@b.c", None)]),
    ]


@pytest.mark.feature("S05")
def test_a_moment_is_marked_by_the_event_that_made_it() -> None:
    lines = [_line(None, "Ray", 0, None, 1), _line("phone", "1", 1, None, 2)]
    newest, oldest = found = timeline.moments(lines)
    timeline.mark(found, {UUID(int=2): ["loc2", "loc3"]})
    assert (newest.parallel_to, oldest.parallel_to) == (["loc2", "loc3"], ())


def test_nothing_happened_to_nothing() -> None:
    assert timeline.moments([]) == []


@pytest.mark.parametrize(
    ("text", "spans", "html"),
    [
        ("Müller", [(0, 3)], "<mark>Mül</mark>ler"),
        ("a<b", [(1, 2)], "a<mark>&lt;</mark>b"),
        ("abcd", [(2, 3), (0, 1)], "<mark>a</mark>b<mark>c</mark>d"),
        ("abcd", [(0, 3), (1, 4)], "<mark>abc</mark><mark>d</mark>"),
        ("ab", [(5, 9), (1, 1)], "ab"),
        ("", [], ""),
    ],
)
@pytest.mark.feature("W03")
def test_matched_letters_are_marked_and_all_is_escaped(
    text: str, spans: list[tuple[int, int]], html: str
) -> None:
    assert marked(text, spans) == html


@pytest.mark.feature("C02")
def test_a_row_names_the_last_place_a_value_came_from() -> None:
    def version(value: str, day: int, origin: str) -> DetailVersion:
        return DetailVersion(
            {"value": value}, T0 + timedelta(days=day), None, origin, None, UUID(int=day)
        )

    details = {"name": version("Mo", 1, "loc1"), "surname": version("Ray", 2, "loc2")}
    (row,) = rows_of([Customer(UUID(int=1), "PERSON", "Mo Ray", False, details=details)])
    assert row.title == "Mo Ray"
    assert row.initials == "MR"
    assert row.last is not None
    assert row.last.origin == "loc2"


@pytest.mark.feature("C02")
def test_a_record_page_lists_all_known_fields_and_any_other_that_has_a_value() -> None:
    other = DetailVersion({"value": "X"}, T0, None, "loc1", None, UUID(int=1))
    lines = timeline.value_lines(
        Customer(UUID(int=1), "PERSON", "X", False, details={"iban": other})
    )
    assert [line.code for line in lines][-2:] == ["owner", "iban"]
    assert lines[0].value is None
    assert lines[-1].value == "X"
