"""Pages of the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from customers.labels import Text, label_of
from events import audit
from events.audit import DELETE, Filter, Line
from events.registry import kind_of_type

LINES_A_PAGE = 100


@dataclass(frozen=True, slots=True)
class AuditRow:
    """A line with what its field is called, and whether there is a page of its record."""

    line: Line
    label: Text
    is_customer: bool
    is_readable: bool


def page_of(asked: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    """Return what the page shows for the cleaned filters ``asked``, ``given`` in the address."""
    wanted = Filter(
        entity_uid=asked["entity"],
        actor=UUID(asked["actor"]) if asked["actor"] else None,
        origin=asked["location"] or None,
        start=asked["start"],
        end=asked["end"],
        operation=asked["operation"] or None,
    )
    lines, place = audit.page(wanted, LINES_A_PAGE, asked["after"])
    kept = {name: value for name, value in given.items() if value and name != "after"}
    older = place and urlencode({**kept, "after": place.to_text()})
    return {"lines": [_row(line) for line in lines], "older": older}


def _row(line: Line) -> AuditRow:
    kind = kind_of_type(line.event_type)
    return AuditRow(
        line=line,
        label=label_of(line.group),
        is_customer=kind is not None and kind.name == "customers.entity",
        is_readable=line.after is not None or line.operation == DELETE,
    )
