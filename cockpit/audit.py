"""Pages of the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from customers.labels import Text, label_of
from events import audit
from events.registry import kind_of_type

EVENTS_A_PAGE = 50


@dataclass(frozen=True, slots=True)
class AuditRow:
    """A line with what its field is called, and whether there is a page of its record."""

    line: audit.Line
    label: Text
    is_customer: bool


def page_of(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the audit page shows for the cleaned filters ``asked``."""
    page = asked.get("page") or 1
    filters = audit.Filters(
        entity_uid=asked.get("entity"),
        actor=asked.get("actor") or None,
        origin=asked.get("location") or None,
        start=asked.get("start"),
        end=asked.get("end"),
    )
    found = audit.lines(filters, limit=EVENTS_A_PAGE, offset=(page - 1) * EVENTS_A_PAGE)
    is_full = len({line.event_id for line in found}) == EVENTS_A_PAGE
    return {"lines": [_row(line) for line in found], "older": page + 1 if is_full else None}


def query_of(given: Mapping[str, str], page: int) -> str:
    """Return the query string of another page with the same filters."""
    kept = {name: value for name, value in given.items() if value and name != "page"}
    return urlencode({**kept, "page": page})


def _row(line: audit.Line) -> AuditRow:
    kind = kind_of_type(line.type)
    label = label_of(line.group) if line.group else ""
    return AuditRow(line, label, kind is not None and kind.name == "customers.entity")
