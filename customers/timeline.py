"""A record as a page shows it: each value with where it is from, and what happened when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import zip_longest
from typing import Any
from uuid import UUID

from customers.labels import DETAIL_LABELS, Text, label_of
from customers.queries import Customer, DetailVersion, HistoryLine
from events.audit import DELETE, Line

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
    reason: str | None = None
    changes: list[FieldChange] = field(default_factory=list)
    parallel_to: Sequence[str] = ()  # where changes were made before it that its author missed


Found = dict[tuple[datetime, UUID | None], Moment]


def value_lines(customer: Customer) -> list[ValueLine]:
    """Return the known details in reading order, then any other that has a value."""
    codes = [*DETAIL_LABELS, *sorted(customer.details.keys() - DETAIL_LABELS.keys())]
    return [ValueLine(code, label_of(code), customer.details.get(code)) for code in codes]


def moments(lines: Sequence[HistoryLine]) -> list[Moment]:
    """Return what happened to a record, newest first, from all its versions.

    A version that ends with no successor was removed there; if the entity's own row ends so, the
    record was closed, and its details are not listed one by one.
    """
    found: Found = {}
    entity = [line for line in lines if line.detail_code is None]
    gaps = {line.valid_to for line, after in _with_next(entity) if _ends(line, after)}
    opened = {line.valid_from for line in entity} - {line.valid_to for line in entity}
    for line in entity:
        if line.valid_from in opened:
            _moment(found, line).what = ENTERED if line is entity[0] else RESTORED
    codes = [*DETAIL_LABELS, *sorted({line.detail_code or "" for line in lines})]
    versions = {
        code: [line for line in lines if line.detail_code == code] for code in codes if code
    }
    for code, own in versions.items():
        _add_values(found, code, own)
    for code, own in versions.items():
        for line, after in _with_next(own):
            if _ends(line, after) and line.valid_to not in gaps:
                change = FieldChange(code, label_of(code), line.value.get("value"), None)
                _moment_of_end(found, line.valid_to).changes.append(change)
    for at in gaps:
        _moment_of_end(found, at).what = CLOSED
    kept = [moment for moment in found.values() if moment.changes or moment.what != CHANGED]
    return sorted(kept, key=lambda moment: moment.at, reverse=True)


def explain(found: Iterable[Moment], lines: Iterable[Line]) -> None:
    """Add to each moment who, where and why, as far as only the audit log says it.

    No version begins where a value went or a record was closed: there the line counts that took
    effect at that instant.
    """
    lines = list(lines)
    reasons = {line.event_id: line.reason for line in lines}
    for moment in found:
        if moment.event_id is None:
            for line in lines:
                if line.effective == moment.at and line.operation == DELETE:
                    moment.event_id, moment.origin = line.event_id, line.origin
                    moment.actor = line.actor
                    break
        if moment.event_id is not None:
            moment.reason = reasons.get(moment.event_id)


def mark(found: Iterable[Moment], places: Mapping[UUID, Sequence[str]]) -> None:
    """Say of each moment beside what it was made; ``places`` are locations by event."""
    for moment in found:
        if moment.event_id is not None:
            moment.parallel_to = places.get(moment.event_id, ())


def _add_values(found: Found, code: str, versions: Sequence[HistoryLine]) -> None:
    before: HistoryLine | None = None
    for line in versions:
        is_next = before is not None and before.valid_to == line.valid_from
        old = before.value.get("value") if before is not None and is_next else None
        moment = _moment(found, line)
        # Opened again, a record has all it had before: nothing of it is a change.
        if moment.what != RESTORED:
            change = FieldChange(code, label_of(code), old, line.value.get("value"))
            moment.changes.append(change)
        before = line


def _moment_of_end(found: Found, at: datetime | None) -> Moment:
    """Return the moment a value went: that of the event that set another one then, if any."""
    assert at is not None
    for moment in found.values():
        if moment.at == at:
            return moment
    found[at, None] = Moment(at=at, event_id=None)
    return found[at, None]


def _with_next(
    lines: Sequence[HistoryLine],
) -> Iterable[tuple[HistoryLine, HistoryLine | None]]:
    return zip_longest(lines, lines[1:])


def _ends(line: HistoryLine, after: HistoryLine | None) -> bool:
    return line.valid_to is not None and (after is None or after.valid_from != line.valid_to)


def _moment(found: Found, line: HistoryLine) -> Moment:
    key = (line.valid_from, line.event_id)
    if key not in found:
        found[key] = Moment(line.valid_from, line.event_id, line.origin, line.actor)
    return found[key]
