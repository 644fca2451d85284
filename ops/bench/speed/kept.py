"""Lines that are measured already: kept as JSON lines, so that an ended run goes on."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ops.bench.report import Section
from ops.bench.speed.sizes import Sizes
from ops.demo.places import CHECKOUT

MEASURED: Final = "measured (UTC, commit)"


@dataclass(frozen=True, slots=True)
class Cells:
    """One line of a section, in words."""

    texts: Sequence[str]

    def cells(self) -> Sequence[str]:
        """Return its line of the report."""
        return self.texts


class Kept:
    """What was measured with the same sizes, by the name of the line; the last one counts.

    A line that a run was ended in the middle of is no line.
    """

    def __init__(self, path: Path, sizes: Sizes) -> None:
        self._path, self.sizes = path, sizes

    def forget(self) -> None:
        """Let everything be measured again."""
        self._path.unlink(missing_ok=True)

    def sections(self, line: str) -> list[Section] | None:
        """Return what was measured of a line; None if nothing was."""
        return self._by_line().get(line)

    def all(self) -> list[Section]:
        """Return what was measured of all lines."""
        return [section for sections in self._by_line().values() for section in sections]

    def keep(self, line: str, sections: Sequence[Section]) -> None:
        """Keep what was measured of a line, now."""
        entry = {
            "line": line,
            "sizes": asdict(self.sizes),
            "at": datetime.now(UTC).isoformat(sep=" ", timespec="minutes").removesuffix("+00:00"),
            "commit": commit(),
            "sections": [_written(section) for section in sections],
        }
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            # On a line of its own, even behind one that a run was ended in the middle of.
            file.write("\n" + json.dumps(entry, ensure_ascii=False))

    def _by_line(self) -> dict[str, list[Section]]:
        return {
            entry["line"]: [_read(section, _measured(entry)) for section in entry["sections"]]
            for entry in self._entries()
            if entry["sizes"] == asdict(self.sizes)
        }

    def _entries(self) -> list[Mapping[str, Any]]:
        if not self._path.exists():
            return []
        whole = []
        for text in self._path.read_text(encoding="utf-8").splitlines():
            try:
                whole.append(json.loads(text))
            except ValueError:
                continue  # a run was ended while it wrote this, or none is here
        return whole


def commit() -> str:
    """Return the commit that is checked out; nothing where there is no git, or no repository."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    try:
        done = subprocess.run(  # noqa: S603 - our own command
            command, cwd=CHECKOUT, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return ""
    return done.stdout.strip()


def _measured(entry: Mapping[str, Any]) -> str:
    return f"{entry['at']} {entry.get('commit', '')}".strip()


def _written(section: Section) -> dict[str, Any]:
    return {
        "title": section.title,
        "goal": section.goal,
        "figure": section.figure,
        "is_met": section.is_met,
        "headings": list(section.headings),
        "lines": [list(line.cells()) for line in section.lines],
    }


def _read(kept: Mapping[str, Any], measured: str) -> Section:
    return Section(
        kept["title"],
        kept["goal"],
        kept["figure"],
        kept["is_met"],
        [Cells([*texts, measured]) for texts in kept["lines"]],
        [*kept["headings"], MEASURED],
    )
