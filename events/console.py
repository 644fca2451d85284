"""What commands have in common: how they answer, progress, columns, private files."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser, OutputWrapper
from django.db import OperationalError

QUIET_SECONDS: Final = 2.0  # what takes no longer shows no progress
BAR_WIDTH: Final = 30


class OperatorCommand(BaseCommand):
    """A command that scripts ask, too: as a table or as one JSON document.

    It ends with 0 when all is well, 1 when something is wrong or was different, 2 when it cannot
    say, with one sentence that says why.
    """

    def add_arguments(self, parser: CommandParser) -> None:
        """Take how to answer."""
        parser.add_argument("--json", action="store_true", help="as one JSON document")

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run; a database that is away is a sentence."""
        try:
            return super().execute(*args, **options)
        except OperationalError as exc:
            raise CommandError("The database does not answer.", returncode=2) from exc


class Meter:
    """A progress bar on a terminal, plain lines elsewhere; silent for the first two seconds."""

    def __init__(self, out: OutputWrapper, total: int, things: str) -> None:
        self._out = out
        self._total = total
        self._things = things
        self._is_terminal = out.isatty()
        self._due = time.monotonic() + QUIET_SECONDS
        self._is_shown = False

    def show(self, done: int) -> None:
        """Show that ``done`` things are dealt with."""
        if time.monotonic() < self._due:
            return
        if self._is_terminal:
            filled = BAR_WIDTH * min(done, self._total) // max(self._total, 1)
            bar = "█" * filled + "░" * (BAR_WIDTH - filled)
            self._out.write(f"\r{bar} {done}/{self._total}", str, ending="")
            self._out.flush()
            self._is_shown = True
        else:
            self._out.write(f"{done} of {self._total} {self._things} …", str)
            self._due = time.monotonic() + QUIET_SECONDS

    def clear(self) -> None:
        """Take the bar away, so that a line can be printed."""
        if self._is_shown:
            self._out.write("\r\x1b[K", str, ending="")
            self._is_shown = False


def write_privately(path: Path, content: bytes) -> None:
    """Put ``content`` on the disk in a new file that nobody else may read."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as exc:
        raise CommandError(f"{path}: {exc.strerror}.", returncode=2) from exc
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def columns(rows: Sequence[Sequence[object]]) -> Iterator[str]:
    """Yield a line for each row, its cells below each other; the first row is the heading."""
    cells = [["–" if cell is None else str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        yield "  ".join(padded).rstrip()
