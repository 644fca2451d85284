"""How often Python looks for reference cycles."""

from __future__ import annotations

import gc


def collect_rarely() -> None:
    """Look for cycles after 100,000 new objects instead of 700.

    A batch of events is many small objects without cycles; at the usual pace the collector walks
    all of Django again and again while they are made (a third of the time of applying a batch).
    """
    gc.set_threshold(100_000, 50, 100)
