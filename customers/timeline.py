"""A record as a page shows it: each value with where it is from, and what happened when."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any
from uuid import UUID

from customers.labels import DETAIL_LABELS, Text, label_of
from customers.queries import Customer, DetailVersion, HistoryLine

ENTERED, CLOSED, RESTORED, CHANGED = "entered", "closed", "restored", "changed"


@dataclass(frozen=True, slots=True)
class ValueLine:
    """One detail of the record page; ``version`` is None where nothing is recorded."""

    code: str
    label: Text
    version: DetailVersion | None

    @property
    def value(self) -> Any:
        """The plain value, or None."""
        return self.version.value.get("value") if self.version else None


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field before and after a moment; None where there was no value."""

    code: str
    label: Text
    before: Any
    after: Any


@dataclass(slots=True)
class Moment:
    """All that became true at one instant by one event."""

    at: datetime
    event_id: UUID | None
    origin: str = ""
    actor: UUID | None = None
    what: str = CHANGED
    changes: list[FieldChange] = field(default_factory=list)


Found = dict[tuple[datetime, UUID | None], Moment]


def value_lines(customer: Customer) -> list[ValueLine]:
    """Return the known details in reading order, then any other that has a value."""
    codes = [*DETAIL_LABELS, *sorted(customer.details.keys() - DETAIL_LABELS.keys())]
    return [
        ValueLine(code, label_of(code), customer.details.get(code)) for code in codes
    ]


def moments(lines: Sequence[HistoryLine]) -> list[Moment]:
    """Return what happened to a record, newest first, from all its versions.

    A version that ends with no successor was removed there; if the entity's own row ends so, the
    record was closed, and its details are not listed one by one.
    """
    entity = [line for line in lines if line.detail_code is None]
    gaps = {line.valid_to for line, after in _with_next(entity) if _ends(line, after)}
    found: Found = {}
    for line in entity:
        moment = _moment(found, line.valid_from, line)
        if line is entity[0]:
            moment.what = ENTERED
        elif all(line.valid_from != before.valid_to for before in entity):
            moment.what = RESTORED
    for at in gaps:
        if at is not None:
            found[at, None] = Moment(at=at, event_id=None, what=CLOSED)
    for code in dict.fromkeys(line.detail_code for line in lines):
        if code is None:
            continue
        versions = [line for line in lines if line.detail_code == code]
        _add_changes(found, code, versions, gaps)
    kept = [m for m in found.values() if m.changes or m.what != CHANGED]
    return sorted(kept, key=lambda m: m.at, reverse=True)


def _add_changes(
    found: Found,
    code: str,
    versions: Sequence[HistoryLine],
    gaps: set[datetime | None],
) -> None:
    before: HistoryLine | None = None
    for line, after in _with_next(versions):
        is_next = before is not None and before.valid_to == line.valid_from
        old = before.value.get("value") if before is not None and is_next else None
        moment = _moment(found, line.valid_from, line)
        if moment.what != RESTORED:
            change = FieldChange(code, label_of(code), old, line.value.get("value"))
            moment.changes.append(change)
        if (
            _ends(line, after)
            and line.valid_to is not None
            and line.valid_to not in gaps
        ):
            gone = found.setdefault(
                (line.valid_to, None), Moment(at=line.valid_to, event_id=None)
            )
            gone.changes.append(
                FieldChange(code, label_of(code), line.value.get("value"), None)
            )
        before = line


def _with_next(
    lines: Sequence[HistoryLine],
) -> Iterable[tuple[HistoryLine, HistoryLine | None]]:
    return pairwise([*lines, None]) if lines else ()  # type: ignore[return-value]


def _ends(line: HistoryLine, after: HistoryLine | None) -> bool:
    return line.valid_to is not None and (
        after is None or after.valid_from != line.valid_to
    )


def _moment(found: Found, at: datetime, line: HistoryLine) -> Moment:
    key = (at, line.event_id)
    if key not in found:
        found[key] = Moment(at, line.event_id, line.origin, line.actor)
    return found[key]
