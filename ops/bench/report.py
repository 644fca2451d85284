"""The report: every column with what is inside it, losing lines too."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from ops.bench.timing import Timing


class Shown(Protocol):
    """One variant's line in the table of its column."""

    def cells(self) -> Sequence[str]:
        """Return what stands under each heading."""


@dataclass(frozen=True, slots=True)
class Line:
    """One variant of a column that was raced against others."""

    name: str
    timing: Timing
    ratio: float
    inside: str

    def cells(self) -> Sequence[str]:
        """Return its line of the report."""
        return self.name, self.timing.in_micros(), f"{self.ratio:.2f}", self.inside


@dataclass(frozen=True, slots=True)
class Section:
    """One column: its goal, the figure measured, whether it is met, and its lines."""

    title: str
    goal: str
    figure: str
    is_met: bool
    lines: Sequence[Shown]
    headings: Sequence[str] = ("variant", "µs each", "ratio", "inside")


_HEAD = """# Performance

Written by `make bench`. Ratios within one run count; absolute times are this machine's.
Each figure in µs is the median of {rounds} shuffled rounds, `[least..most]` beside it; one
round more, to warm up, is not counted.

Date {date} · {machine} · PostgreSQL with fsync on · {people:,} customers of 9 details · seed {seed}

| column | goal | measured | |
|---|---|---|---|
"""


def write_report(
    path: Path | None, sections: Sequence[Section], people: int, rounds: int, seed: int
) -> None:
    """Show the report, and write it to ``path``."""
    text = _HEAD.format(
        rounds=rounds,
        date=datetime.now(UTC).date().isoformat(),
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}",
        people=people,
        seed=seed,
    )
    for section in sections:
        verdict = "met" if section.is_met else "**missed**"
        text += f"| {section.title} | {section.goal} | {section.figure} | {verdict} |\n"
    for section in sections:
        rule = ["---"] * len(section.headings)
        text += f"\n## {section.title}\n\n{_row(section.headings)}{_row(rule)}"
        text += "".join(_row(line.cells()) for line in section.lines)
    print(text)
    if path is not None:
        path.write_text(text, encoding="utf-8")


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |\n"
