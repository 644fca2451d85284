"""Pages of the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from customers.labels import Text, label_of
from customers.timeline import CHANGED, CLOSED, ENTERED, RESTORED
from events import audit
from events.audit import DELETE, INSERT, UPDATE, Filter, Line
from events.fold import DELETED
from events.registry import kind_of_type

LINES_A_PAGE = 100
HAPPENED = {INSERT: ENTERED, UPDATE: CHANGED, DELETE: "removed"}


@dataclass(frozen=True, slots=True)
class AuditRow:
    """A line with what happened to which field, and whether there is a page of its record."""

    line: Line
    what: str
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
        what=_what(line),
        label=label_of(line.group),
        is_customer=kind is not None and kind.name == "customers.entity",
        is_readable=line.after is not None or line.operation == DELETE,
    )


def _what(line: Line) -> str:
    """Return what a record's history calls it: there a whole record is closed, not removed."""
    if line.group == DELETED:
        return CLOSED if line.operation == DELETE else RESTORED
    return HAPPENED[line.operation]
