"""The report of transactions: what was recorded and what the access log says, counted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.utils.translation import gettext as _

import accounts.reports as access_log
from accounts.access import OK, SEARCH, SIGN_IN
from accounts.labels import KIND_LABELS, OUTCOME_LABELS
from cockpit.periods import Buckets, Period, buckets_of
from cockpit.report_form import SYSTEM, ReportForm
from customers.labels import EVENT_LABELS, Text
from events import locations
from events import reports as recorded
from events.reports import NOBODY
from events.stamp import to_micros

Key = TypeVar("Key")


class Tally(NamedTuple):
    """What is counted: events with their transactions, and lines of the access log."""

    transactions: int = 0
    events: int = 0
    lines: int = 0
    refused: int = 0
    searches: int = 0
    sign_ins: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table; ``query`` asks for it alone, if that can be asked.

    ``has_log`` is False for another location: its access log is there, not here.
    """

    key: str
    label: Text
    tally: Tally
    query: str = ""
    note: str = ""
    has_log: bool = True


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is counted; None where nothing of that sort can fit the filter."""

    events: recorded.Filter | None
    lines: access_log.Filter | None


@dataclass(frozen=True, slots=True)
class Report:
    """All counts of a filter; ``times`` are those of the buckets.

    ``over_time`` has the transactions of each bucket by location; where no event can fit the
    filter, the lines of the access log.
    """

    period: Period
    buckets: Buckets
    query: str
    is_of_events: bool
    total: Tally
    times: Sequence[Tally]
    over_time: Sequence[Mapping[str, int]]
    locations: Sequence[Row]
    members: Sequence[Row]
    kinds: Sequence[Row]
    outcomes: Sequence[Row]


def period_of(asked: Mapping[str, Any]) -> Period:
    """Return the days of a cleaned form, as they are in the network."""
    return Period(asked["start"], asked["end"], settings.DISPLAY_TIME_ZONE)


def wanted_of(asked: Mapping[str, Any]) -> Wanted:
    """Return which events and which lines a cleaned form asks for."""
    period, kind, outcome = period_of(asked), asked["kind"] or None, asked["outcome"] or None
    where, who = asked["location"] or None, asked["actor"]
    # Whatever is refused is refused before it is an event.
    has_events = kind not in KIND_LABELS and outcome in {None, OK}
    start, end = period.start, period.end
    return Wanted(
        recorded.Filter(to_micros(start), to_micros(end), where, who, kind) if has_events else None,
        None if kind in EVENT_LABELS else access_log.Filter(start, end, where, who, kind, outcome),
    )


def report_of(form: ReportForm) -> Report:
    """Return the counts that a valid form asks for: two statements, whatever there is."""
    asked = {name: value for name, value in form.cleaned_data.items() if value}
    period, wanted = period_of(asked), wanted_of(form.cleaned_data)
    buckets = buckets_of(period)
    events, lines = recorded.Counts(), access_log.Counts()
    if wanted.events is not None:
        events = recorded.count(wanted.events, [to_micros(edge) for edge in buckets.edges])
    if wanted.lines is not None:
        lines = access_log.count(wanted.lines, buckets.edges)
    outcomes = _tallies([(OK, events.total)], lines.by_outcome)
    return Report(
        period=period,
        buckets=buckets,
        query=urlencode(asked),
        is_of_events=wanted.events is not None,
        total=_sum(outcomes.values()),
        times=_times(events, lines, len(buckets.edges)),
        over_time=_over_time(None if wanted.events is None else events, lines, len(buckets.edges)),
        locations=_locations(_tallies(events.by_origin.items(), lines.by_location), asked),
        members=_members(events, lines, asked, form.names),
        kinds=_kinds(events, lines, asked),
        outcomes=_named(outcomes, OUTCOME_LABELS, asked, "outcome"),
    )


def _tallies(
    events: Iterable[tuple[Key, recorded.Count]],
    lines: Mapping[tuple[Key, str], access_log.Count],
) -> dict[Key, Tally]:
    """Return what is counted for each key: events, and lines, which are counted by kind, too."""
    found: defaultdict[Key, Tally] = defaultdict(Tally)
    for key, event in events:
        found[key] = _sum([found[key], Tally(event.transactions, event.events)])
    for (key, kind), line in lines.items():
        found[key] = _sum([found[key], _of_lines(kind, line)])
    return found


def _of_lines(kind: str, count: access_log.Count) -> Tally:
    searches, sign_ins = (count.lines if kind == each else 0 for each in (SEARCH, SIGN_IN))
    return Tally(0, 0, count.lines, count.refused, searches, sign_ins)


def _sum(tallies: Iterable[Tally]) -> Tally:
    return Tally(*map(sum, zip(Tally(), *tallies, strict=True)))


def _times(events: recorded.Counts, lines: access_log.Counts, count: int) -> list[Tally]:
    by_bucket = ((bucket, counted) for (bucket, _origin), counted in events.by_bucket.items())
    found = _tallies(by_bucket, lines.by_bucket)
    return [found.get(bucket, Tally()) for bucket in range(count)]


def _over_time(
    events: recorded.Counts | None, lines: access_log.Counts, count: int
) -> list[Mapping[str, int]]:
    found: list[defaultdict[str, int]] = [defaultdict(int) for _bucket in range(count)]
    if events is None:
        for (bucket, _kind), line in lines.by_bucket.items():
            found[bucket][settings.LOCATION_ID] += line.lines
    else:
        for (bucket, origin), counted in events.by_bucket.items():
            found[bucket][origin] = counted.transactions
    return list(found)


def _locations(found: Mapping[str, Tally], asked: Mapping[str, Any]) -> list[Row]:
    known = set(locations.names())
    shown = {asked["location"]} if "location" in asked else known | found.keys()
    return [
        Row(
            key=name,
            label=name,
            tally=found.get(name, Tally()),
            query=_query(asked, "location", name) if name in known else "",
            has_log=name == settings.LOCATION_ID,
        )
        for name in sorted(shown)
    ]


def _members(
    events: recorded.Counts,
    lines: access_log.Counts,
    asked: Mapping[str, Any],
    names: Mapping[UUID, str],
) -> list[Row]:
    found = _tallies(events.by_actor.items(), lines.by_actor)
    return [
        Row(
            key=str(uid),
            label=member_label(uid, events.origins.get(uid, ""), names),
            tally=tally,
            query=_query(asked, "actor", str(uid)),
            note="" if uid in names or uid == NOBODY else str(uid)[:8],
        )
        for uid, tally in _most_first(found)
    ]


def member_label(uid: UUID, origin: str, names: Mapping[UUID, str]) -> Text:
    """Return a member's name; of another location's member where they signed in."""
    if uid == NOBODY:
        return SYSTEM
    if uid in names:
        return names[uid]
    if origin:
        return _("a member of %(location)s") % {"location": origin}
    return _("a member of another location")


def _kinds(
    events: recorded.Counts, lines: access_log.Counts, asked: Mapping[str, Any]
) -> list[Row]:
    by_kind = _tallies(events.by_type.items(), {})
    for (_outcome, kind), count in lines.by_outcome.items():
        by_kind[kind] = _sum([by_kind.get(kind, Tally()), _of_lines(kind, count)])
    return _named(by_kind, {**EVENT_LABELS, **KIND_LABELS}, asked, "kind")


def _named(
    found: Mapping[str, Tally], labels: Mapping[str, Text], asked: Mapping[str, Any], name: str
) -> list[Row]:
    """Return rows of what has a name here, by which the form asks for it, and of what has none."""
    return [
        Row(key, labels.get(key, key), tally, _query(asked, name, key) if key in labels else "")
        for key, tally in _most_first(found)
        if any(tally)
    ]


def kind_label(kind: str) -> Text:
    """Return what an event's type or a line's kind is called; itself if it has no name here."""
    return EVENT_LABELS.get(kind) or KIND_LABELS.get(kind) or kind


def _most_first(found: Mapping[Key, Tally]) -> list[tuple[Key, Tally]]:
    return sorted(found.items(), key=lambda item: (-item[1].events, -item[1].lines, str(item[0])))


def _query(asked: Mapping[str, Any], name: str, value: str) -> str:
    return urlencode({**asked, name: value})
