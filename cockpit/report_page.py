"""The page of the report: its chart, and the words for the parts of a period."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from urllib.parse import urlencode

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cockpit import charts
from cockpit.periods import DAY, HOUR, MONTH, WEEK, YEAR
from cockpit.report_form import ReportForm
from cockpit.reports import Report, Row, report_of
from customers.labels import Text
from events.reports import NOBODY

ROWS_SHOWN: Final = 50  # the file of counts has them all
HEADINGS: dict[tuple[bool, str], Text] = {
    (True, HOUR): gettext_lazy("Transactions by hour"),
    (True, DAY): gettext_lazy("Transactions by day"),
    (True, WEEK): gettext_lazy("Transactions by week"),
    (True, MONTH): gettext_lazy("Transactions by month"),
    (True, YEAR): gettext_lazy("Transactions by year"),
    (False, HOUR): gettext_lazy("Access log by hour"),
    (False, DAY): gettext_lazy("Access log by day"),
    (False, WEEK): gettext_lazy("Access log by week"),
    (False, MONTH): gettext_lazy("Access log by month"),
    (False, YEAR): gettext_lazy("Access log by year"),
}
_EVENTS: Final = (
    (gettext_lazy("Transactions"), "transactions"),
    (gettext_lazy("Events"), "events"),
)
_USE: Final = (
    (gettext_lazy("Refused"), "refused"),
    (gettext_lazy("Searches"), "searches"),
    (gettext_lazy("Sign-ins"), "sign_ins"),
)
_LINES: Final = ((gettext_lazy("Access log"), "lines"),)
# What stands in the table, and below the bars.
_LONG = {HOUR: "Y-m-d H:i", DAY: "Y-m-d", MONTH: "F Y", YEAR: "Y"}
_SHORT = {HOUR: "H:i", DAY: "j M", WEEK: "j M", MONTH: "M Y", YEAR: "Y"}


@dataclass(frozen=True, slots=True)
class Time:
    """One bucket as the table beside the chart has it; ``query`` asks for its days alone."""

    label: str
    query: str
    counts: Sequence[int]  # of the chart's series
    total: int


@dataclass(frozen=True, slots=True)
class Table:
    """Counts by something, the most first; ``count`` of rows there are, also those not shown.

    Of each row the numbers stand in the order of ``columns``, None for what is not known here.
    """

    name: str
    title: Text
    head: Text
    columns: Sequence[Text]
    rows: Sequence[tuple[Row, Sequence[tuple[Text, int | None]]]]
    count: int
    is_coded: bool  # people call the rows otherwise than Elasticsearch does: both are shown


def page_of(form: ReportForm) -> dict[str, Any]:
    """Return what the page shows for a valid form."""
    report = report_of(form)
    _offer_members(form, report)
    series = sorted({name for stack in report.over_time for name in stack})
    times = _times(report, form, series)
    heading = HEADINGS[report.is_of_events, report.buckets.step]
    return {
        "report": report,
        "days": _days(report.period.first, report.period.last),
        "tables": _tables(report),
        "heading": heading,
        "series": series,
        "times": times,
        "chart": _chart(report, times) if series else None,
        "alternative": _alternative(str(heading), report, times),
    }


def _tables(report: Report) -> list[list[Table]]:
    """Return the tables of the left and of the right column."""
    use, sort = (*_EVENTS, *_USE), (*_EVENTS, *_LINES)
    return [
        [
            _table("location", _("By location"), _("Location"), use, report.locations),
            _table("member", _("By member"), _("Member"), use, report.members),
        ],
        [
            _table("kind", _("By kind"), _("Kind"), sort, report.kinds),
            _table("outcome", _("By outcome"), _("Outcome"), sort, report.outcomes),
        ],
    ]


def _table(
    name: str, title: str, head: str, columns: Sequence[tuple[Text, str]], rows: Sequence[Row]
) -> Table:
    def number(row: Row, field: str) -> int | None:
        is_known = row.has_log or field in {"transactions", "events"}
        return getattr(row.tally, field) if is_known else None

    return Table(
        name=name,
        title=title,
        head=head,
        columns=[label for label, _field in columns],
        rows=[
            (row, [(label, number(row, field)) for label, field in columns])
            for row in rows[:ROWS_SHOWN]
        ],
        count=len(rows),
        is_coded=name in {"kind", "outcome"},
    )


def labels_of(report: Report) -> list[str]:
    """Return which hour, day, week, month or year each bucket is, in the network's zone."""
    step = report.buckets.step
    if step == WEEK:
        return [_days(first, last) for first, last in report.buckets.days]
    labels = [date_format(moment, _LONG[step]) for moment in _moments(report)]
    if step == HOUR:  # the clock may show one twice
        zones = (moment.tzname() for moment in _moments(report))
        return [f"{label} {zone}" for label, zone in zip(labels, zones, strict=True)]
    return labels


def _moments(report: Report) -> list[datetime]:
    return [edge.astimezone(report.period.zone) for edge in report.buckets.edges]


def _days(first: date, last: date) -> str:
    days = dict.fromkeys(date_format(day, "Y-m-d") for day in (first, last))
    return " – ".join(days)


def _times(report: Report, form: ReportForm, series: Sequence[str]) -> list[Time]:
    is_hours = report.buckets.step == HOUR
    return [
        Time(
            label=label,
            query="" if is_hours else urlencode({**form.given, "start": first, "end": last}),
            counts=[stack.get(name, 0) for name in series],
            total=sum(stack.values()),
        )
        for label, (first, last), stack in zip(
            labels_of(report), report.buckets.days, report.over_time, strict=True
        )
    ]


def _chart(report: Report, times: Sequence[Time]) -> charts.Chart:
    titles = [
        f"{time.label}: {time.total}" + _parts(stack)
        for time, stack in zip(times, report.over_time, strict=True)
    ]
    form = _SHORT[report.buckets.step]
    marks = [date_format(moment, form) for moment in _moments(report)]
    return charts.draw(report.over_time, titles, marks)


def _parts(stack: Mapping[str, int]) -> str:
    if len(stack) < 2:
        return ""
    return f" ({', '.join(f'{name} {number}' for name, number in sorted(stack.items()))})"


def _alternative(heading: str, report: Report, times: Sequence[Time]) -> str:
    """Return what the chart shows, for who does not see it."""
    most = max(times, key=lambda time: time.total)
    days = _days(report.period.first, report.period.last)
    said = {"heading": heading, "days": days, "most": most.total, "when": most.label}
    return _("%(heading)s, %(days)s. Most, %(most)s: %(when)s.") % said


def _offer_members(form: ReportForm, report: Report) -> None:
    """Let the members be chosen that the page names, and the one that is chosen already."""
    shown = report.members[:ROWS_SHOWN]
    others = {row.key: f"{row.label} {row.note}" for row in shown if row.note}
    chosen = form.cleaned_data["actor"]
    if chosen not in {None, NOBODY, *form.names}:
        others.setdefault(str(chosen), f"{_('a member of another location')} {str(chosen)[:8]}")
    form.offer(others.items())
