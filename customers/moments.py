"""What a caller writes for a moment: a whole day of the network, or an exact time with its zone."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo

EXPECTED = "a date (YYYY-MM-DD) or a time with its zone (2026-03-31T14:30:00Z; write + as %2B)"
EXPECTED_EXACT = "a time with its zone, such as 2026-03-31T14:30:00+02:00"
NEVER = datetime.min.replace(tzinfo=UTC)
EVER = datetime.max.replace(tzinfo=UTC)

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_EXACT = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:[Zz]|[+-]\d{2}:?\d{2})", re.ASCII
)


def exact(text: str) -> datetime:
    """Return the UTC instant of an RFC 3339 time; ``ValueError`` if it is none or has no zone."""
    if not _EXACT.fullmatch(text):
        raise ValueError(EXPECTED_EXACT)
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise ValueError(EXPECTED_EXACT) from exc


def end_of(text: str, zone: tzinfo) -> datetime:
    """Return the last instant of a day, or the exact time; ``ValueError`` if it is neither."""
    return _moment(text, zone, days=1)


def before(text: str, zone: tzinfo) -> datetime:
    """Return the instant just before a day begins, or the exact time.

    Just before: what took effect at the stroke of midnight belongs to the day that begins.
    """
    return _moment(text, zone, days=0)


def _moment(text: str, zone: tzinfo, *, days: int) -> datetime:
    if not _DAY.fullmatch(text):
        try:
            return exact(text)
        except ValueError as exc:
            raise ValueError(EXPECTED) from exc
    try:
        day = date.fromisoformat(text)
    except ValueError as exc:
        raise ValueError(EXPECTED) from exc
    try:
        midnight = datetime.combine(day + timedelta(days=days), time.min, tzinfo=zone)
        return midnight.astimezone(UTC) - timedelta(microseconds=1)
    except OverflowError:  # the first or last day there is
        return EVER if days else NEVER
