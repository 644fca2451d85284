"""What changed behind the back of who had a form open, and what that author has to decide."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from customers.labels import DETAIL_LABELS, Text
from customers.queries import Customer
from customers.sealed import View
from events.models import Event
from events.stamp import Stamp, to_datetime


@dataclass(frozen=True, slots=True)
class Clash:
    """A field that this author and someone else changed; None where there is no value."""

    code: str
    label: Text
    begun: str | None
    mine: str | None
    current: str | None
    at: datetime
    origin: str
    actor: UUID | None


def clashes(mine: Mapping[str, str | None], seen: View, customer: Customer) -> list[Clash]:
    """Return the fields of ``mine`` that others changed otherwise, each with who did it."""
    moved = {
        code: customer.stamps[code]
        for code in _moved(seen, customer)
        if code in mine and mine[code] != customer.values.get(code)
    }
    actors = _actors(moved.values())
    return [
        Clash(
            code=code,
            label=DETAIL_LABELS[code],
            begun=seen.values.get(code),
            mine=mine[code],
            current=customer.values.get(code),
            at=to_datetime(stamp.ts),
            origin=stamp.origin,
            actor=actors.get(stamp.event_id),
        )
        for code, stamp in moved.items()
    ]


def taken_over(mine: Mapping[str, str | None], seen: View, customer: Customer) -> list[Text]:
    """Return what the fields are called that only others changed: there is nothing to decide."""
    return [DETAIL_LABELS[code] for code in _moved(seen, customer) if code not in mine]


def _moved(seen: View, customer: Customer) -> list[str]:
    return [
        code
        for code in DETAIL_LABELS
        if code in customer.stamps and seen.stamps.get(code) != customer.stamps[code]
    ]


def _actors(stamps: Iterable[Stamp]) -> dict[UUID, UUID | None]:
    events = Event.objects.filter(event_id__in=[stamp.event_id for stamp in stamps])
    return dict(events.values_list("event_id", "actor"))
