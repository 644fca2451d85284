"""Pages of the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def page_of(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the lines of one page."""
    return {"lines": []}
