"""Whose settings, clock and connection this process has at a moment: one location after another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from django.conf import settings
from django.db import connections

from customers.kinds import ENTITY
from events import registry
from events.registry import Kind
from ops.chaos.simulation.clocks import Clock
from ops.chaos.simulation.seams import SeamedDatabase

DATABASE = "default"
CHANGED, RESOLVED = "customers.details_changed", "customers.conflict_resolved"
# One release knows less than the present one, another has a newer version of an event.
OLDER, PRESENT, NEWER = "older", "present", "newer"
_TYPES = cast("dict[str, int]", ENTITY.event_types)
_KINDS = cast("dict[str, Kind]", vars(registry)["_by_type"])


class Actor(Protocol):
    """A location, as far as the stage knows it."""

    name: str
    clock: Clock
    release: str
    settings: Mapping[str, Any]


@dataclass
class Stage:
    """Remembers who acts; whoever acted before goes on when the present one is done."""

    _acting: list[tuple[Actor, SeamedDatabase]] = field(default_factory=list)

    @property
    def here(self) -> Actor:
        """The location that acts."""
        return self._acting[-1][0]

    def clock(self) -> Clock:
        """Return the clock of the location that acts."""
        return self.here.clock

    def is_busy(self, database: SeamedDatabase) -> bool:
        """Whether work on this connection has begun and waits for what acts now."""
        return any(database is each for _, each in self._acting)

    @contextmanager
    def at(self, actor: Actor, database: SeamedDatabase) -> Iterator[None]:
        """Be ``actor``, with that connection."""
        outer = {name: getattr(settings, name) for name in actor.settings}
        before = connections[DATABASE]
        release = self.here.release if self._acting else PRESENT
        self._acting.append((actor, database))
        _become(actor.settings, database, actor.release)
        try:
            yield
        finally:
            self._acting.pop()
            _become(outer, before, release)


def _become(values: Mapping[str, Any], database: Any, release: str) -> None:
    for name, value in values.items():
        setattr(settings, name, value)
    connections[DATABASE] = database
    _TYPES[CHANGED] = 2 if release == NEWER else 1
    if release == OLDER:
        _TYPES.pop(RESOLVED, None)
        _KINDS.pop(RESOLVED, None)
    else:
        _TYPES[RESOLVED] = 1
        _KINDS[RESOLVED] = ENTITY
