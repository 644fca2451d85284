"""What dashboards are made of: plain aggregations, and nothing that only a live Kibana could check.

A panel may count, count distinct values, take a maximum or a percentile; by time and by values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from consumers.ship_documents import INDEX_PREFIX

INDICES: Final = f"{INDEX_PREFIX}*"
TIME: Final = "@timestamp"
COLUMNS: Final = 48  # of Kibana's grid

# Documents in which each field has one of the values.
Where = Mapping[str, Sequence[str]]


class Operation(StrEnum):
    """How many documents become a number; Lens and the Dashboards API call them the same."""

    COUNT = "count"
    UNIQUE = "unique_count"
    MAXIMUM = "max"
    PERCENTILE = "percentile"


@dataclass(frozen=True, slots=True)
class Measure:
    """A number of each bucket, ``of`` a field unless documents are counted.

    ``within`` narrows it to the last part of the period, such as 5m.
    """

    label: str
    operation: Operation = Operation.COUNT
    of: str = ""
    percentile: int = 0
    where: Where = field(default_factory=dict)
    within: str = ""


@dataclass(frozen=True, slots=True)
class Values:
    """A bucket for each of the first ``most`` values: by the first measure, or by name."""

    field: str
    label: str
    most: int = 10
    by_name: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """What is in a place of a dashboard; ``key`` is its id there and stays what it is."""

    key: str
    title: str
    measures: Sequence[Measure]
    where: Where = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Number(Panel):
    """One large number."""


@dataclass(frozen=True, slots=True)
class Series(Panel):
    """Numbers over time, for each value apart if ``by`` says so; as lines, or as stacked bars."""

    by: Values | None = None
    is_line: bool = False


@dataclass(frozen=True, slots=True)
class Table(Panel):
    """Numbers of each combination of values."""

    rows: Sequence[Values] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """Panels of equal width beside each other."""

    height: int
    panels: Sequence[Panel]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a panel is on the grid."""

    x: int
    y: int
    w: int
    h: int


@dataclass(frozen=True, slots=True)
class Dashboard:
    """Rows of panels about the time since ``since``; read anew each ``refresh`` seconds, if any."""

    id: str
    title: str
    description: str
    since: str
    rows: Sequence[Row]
    refresh: int = 0

    def placed(self) -> Iterator[tuple[Panel, Place]]:
        """Yield each panel with its place."""
        top = 0
        for row in self.rows:
            width = COLUMNS // len(row.panels)
            for number, panel in enumerate(row.panels):
                yield panel, Place(number * width, top, width, row.height)
            top += row.height


@dataclass(frozen=True, slots=True)
class Search:
    """A list of documents, the newest first."""

    id: str
    title: str
    description: str
    since: str
    columns: Sequence[str]
    where: Where


def kql(where: Where) -> str:
    """Return a condition in Kibana's query language."""
    return " and ".join(f"{name}: {_any(values)}" for name, values in where.items())


def _any(values: Sequence[str]) -> str:
    quoted = " or ".join(f'"{value}"' for value in values)
    return quoted if len(values) == 1 else f"({quoted})"
