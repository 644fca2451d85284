"""What a demo says: lines that stay, and on a terminal one line below them that changes."""

from __future__ import annotations

import sys
import time
from typing import Final, TextIO

PLAIN_SECONDS: Final = 5.0  # between two lines of progress where there is no terminal
WIDTH: Final = 30


class Screen:
    """Prints lines, and progress as a bar on a terminal, as a line now and then elsewhere."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._is_terminal = self._out.isatty()
        self._has_bar = False
        self._due = time.monotonic() + PLAIN_SECONDS

    def line(self, text: str) -> None:
        """Print a line that stays."""
        self._clear()
        self._write(f"{text}\n")

    def progress(self, what: str, done: int, total: int) -> None:
        """Show how far something is."""
        if self._is_terminal:
            filled = WIDTH * min(done, total) // max(total, 1)
            bar = "█" * filled + "░" * (WIDTH - filled)
            self._write(f"\r\x1b[K{bar} {done:,}/{total:,} {what}")
            self._has_bar = True
        elif time.monotonic() >= self._due:
            self._due = time.monotonic() + PLAIN_SECONDS
            self.line(f"{done:,} of {total:,} {what}")

    def _clear(self) -> None:
        if self._has_bar:
            self._write("\r\x1b[K")
            self._has_bar = False

    def _write(self, text: str) -> None:
        try:
            self._out.write(text)
            self._out.flush()
        except (BrokenPipeError, UnicodeEncodeError):
            pass  # nobody reads, or nobody could: the locations matter more
