"""The report as files: every transaction and line of a filter, and the counts of its tables.

The columns have the same names in every language; what people call a thing stands beside its code.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from datetime import tzinfo
from typing import Final
from uuid import UUID

import accounts.reports as access_log
from accounts.access import OK
from cockpit.report_form import ReportForm
from cockpit.report_page import labels_of
from cockpit.reports import (
    Row,
    Tally,
    kind_label,
    member_label,
    period_of,
    report_of,
    wanted_of,
)
from cockpit.spreadsheets import Cell
from events import reports as recorded
from events.stamp import to_datetime, to_micros

# The words of the documents that Elasticsearch has.
RECORDED: Final = "recorded"
SUCCESS, FAILURE = "success", "failure"
SINS: Final = "SINS"  # who wrote what no member did

LINE_COLUMNS: Final = (
    "at", "kind", "action", "what", "outcome", "reason", "location", "member", "member_uid",
    "record_uid", "transaction", "route", "request_id", "id",
)  # fmt: skip
COUNT_COLUMNS: Final = ("by", "value", "name", *Tally._fields)

_Stamped = tuple[int, tuple[Cell, ...]]


def transactions(form: ReportForm) -> Iterator[Sequence[Cell]]:
    """Yield what fits the filter, newest first; pages are read as they are sent."""
    wanted, zone = wanted_of(form.cleaned_data), period_of(form.cleaned_data).zone
    yield LINE_COLUMNS
    events = iter(()) if wanted.events is None else recorded.lines(wanted.events)
    lines = iter(()) if wanted.lines is None else access_log.lines(wanted.lines)
    both: Iterator[_Stamped] = heapq.merge(
        (_of_event(event, form.names, zone) for event in events),
        (_of_line(line, form.names, zone) for line in lines),
        key=lambda stamped: stamped[0],
        reverse=True,
    )
    for _ts, row in both:
        yield row


def _of_event(event: recorded.Line, names: Mapping[UUID, str], zone: tzinfo) -> _Stamped:
    return event.ts, (
        _at(event.ts, zone),
        RECORDED,
        event.type,
        str(kind_label(event.type)),
        SUCCESS,
        "",
        event.origin,
        str(member_label(event.actor, event.origin, names)) if event.actor else SINS,
        _text(event.actor),
        str(event.entity_uid),
        str(event.tx),
        "",
        event.request_id,
        str(event.event_id),
    )


def _of_line(line: access_log.Line, names: Mapping[UUID, str], zone: tzinfo) -> _Stamped:
    ts = to_micros(line.at)
    return ts, (
        _at(ts, zone),
        line.kind,
        line.kind,
        str(kind_label(line.kind)),
        SUCCESS if line.outcome == OK else FAILURE,
        line.outcome,
        line.location,
        str(member_label(line.actor, line.location, names)) if line.actor else "",
        _text(line.actor),
        "",
        "",
        line.route,
        line.request_id,
        str(line.uid),
    )


def counts(form: ReportForm) -> list[Sequence[Cell]]:
    """Return the numbers of all tables of the page; what only another location knows is empty."""
    report = report_of(form)
    step, zone = report.buckets.step, report.period.zone
    tables = {
        "location": report.locations,
        "member": report.members,
        "kind": report.kinds,
        "outcome": report.outcomes,
    }
    return [
        COUNT_COLUMNS,
        ("all", "", "", *report.total),
        *(
            (step, edge.astimezone(zone).isoformat(), label, *tally)
            for label, edge, tally in zip(
                labels_of(report), report.buckets.edges, report.times, strict=True
            )
        ),
        *(_of_row(by, row) for by, rows in tables.items() for row in rows),
    ]


def _of_row(by: str, row: Row) -> tuple[Cell, ...]:
    numbers: Sequence[Cell] = row.tally if row.has_log else (*row.tally[:2], *[None] * 4)
    return (by, row.key, f"{row.label} {row.note}".strip(), *numbers)


def _at(ts: int, zone: tzinfo) -> str:
    return to_datetime(ts).astimezone(zone).isoformat(timespec="microseconds")


def _text(uid: UUID | None) -> str:
    return "" if uid is None else str(uid)
