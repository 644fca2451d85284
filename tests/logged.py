"""What a location would write to its log, caught as text."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from structlog.stdlib import ProcessorFormatter


@contextmanager
def logged() -> Iterator[io.StringIO]:
    """Yield the lines that the configured formatter makes of everything logged meanwhile."""
    root, lines = logging.root, io.StringIO()
    formatters = [h.formatter for h in root.handlers if isinstance(h.formatter, ProcessorFormatter)]
    assert formatters, "logging is not configured"
    handler = logging.StreamHandler(lines)
    handler.setFormatter(formatters[0])
    root.addHandler(handler)
    try:
        yield lines
    finally:
        root.removeHandler(handler)
