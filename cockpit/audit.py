"""Pages of the audit log."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from customers.labels import Text, label_of
from events import audit
from events.audit import Filter, Line, Place
from events.registry import kind_of_type

LINES_A_PAGE = 100

# Where the page before ended: its last event's time and id, and how many of its lines were shown.
_PLACE = re.compile(r"(\d{1,18})\.([0-9a-f-]{36})\.(\d{1,6})", re.ASCII)


@dataclass(frozen=True, slots=True)
class AuditRow:
    """A line with what its field is called, and whether there is a page of its record."""

    line: Line
    label: Text
    is_customer: bool


def page_of(asked: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    """Return what the page shows for the cleaned filters ``asked``, ``given`` in the address."""
    wanted = Filter(
        entity_uid=asked["entity"],
        actor=asked["actor"] and UUID(asked["actor"]),
        origin=asked["location"] or None,
        start=asked["start"],
        end=asked["end"],
        operation=asked["operation"] or None,
    )
    lines, place = audit.page(wanted, LINES_A_PAGE, asked["after"])
    kept = {name: value for name, value in given.items() if value and name != "after"}
    older = place and urlencode({**kept, "after": f"{place.ts}.{place.event_id}.{place.lines}"})
    return {"lines": [_row(line) for line in lines], "older": older}


def place_of(text: str) -> Place:
    """Return the place an address names; ``ValueError`` if it names none."""
    found = _PLACE.fullmatch(text)
    if found is None:
        raise ValueError(text)
    return Place(int(found[1]), UUID(found[2]), int(found[3]))


def _row(line: Line) -> AuditRow:
    kind = kind_of_type(line.event_type)
    return AuditRow(
        line, label_of(line.group), kind is not None and kind.name == "customers.entity"
    )
