"""Short ways to write down single events in tests."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any
from uuid import UUID

from events.envelope import Event
from events.stamp import Stamp
from events.tests.histories import ENTITY

_numbers = count(1)


def event(
    ts: int,
    values: Mapping[str, Any],
    *,
    origin: str = "loc1",
    knowing: Mapping[str, Event | None] | None = None,
    **given: Any,
) -> Event:
    """Return an event of ``{group: value}``; ``knowing`` names the event its author saw last."""
    number = next(_numbers)
    attributes: dict[str, Any] = {
        "event_id": UUID(int=number),
        "origin": origin,
        "entity_uid": ENTITY,
        "type": "detail.changed",
        "schema_version": 1,
        "ts": ts,
        "tx": UUID(int=number),
        "set": {g: v if isinstance(v, Mapping) else {"value": v} for g, v in values.items()},
        "base": bases(knowing or {}, values),
        **given,
    }
    return Event(**attributes)


def bases(
    knowing: Mapping[str, Event | None], values: Mapping[str, Any]
) -> dict[str, Stamp | None]:
    """Return the base of an event that sets ``values``: closing groups are always in it."""
    groups = {*values, *knowing, "deleted", "merged_into"}
    seen = {group: knowing.get(group) for group in groups}
    return {group: None if known is None else known.stamp for group, known in seen.items()}
