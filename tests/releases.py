"""Locations of different releases in one process, each with a database of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import connection
from django.test import override_settings

from consumers import heartbeat, wire
from consumers.apply import Applier
from consumers.tests.origins import PEERS, number_all, pages
from consumers.verify import Run
from events import contacts, recorder, registry, streams
from events.envelope import Event
from events.models import EntityHead
from events.rebuilding import Selection, rebuild_all
from events.recorder import Author, Draft
from events.registry import Kind
from tests.databases import TestDatabases
from tests.environment import test_key

Groups = Mapping[str, Mapping[str, Any]]


@contextmanager
def release(kind: Kind) -> Iterator[None]:
    """Let the code be that of a release that has ``kind`` as it is given."""
    kinds, types = dict(registry._kinds), dict(registry._by_type)
    for event_type in registry._kinds.pop(kind.name).event_types:
        del registry._by_type[event_type]
    registry.register(kind)
    try:
        yield
    finally:
        registry._kinds, registry._by_type = kinds, types


@dataclass
class Place:
    """A location: ``kind`` says of which release it is. Its clock is whatever it is set to."""

    databases: TestDatabases
    name: str
    kind: Kind
    peers: tuple[str, ...]
    now: int
    _requests: int = 0
    _urls: Any = field(init=False)

    def __post_init__(self) -> None:
        self._urls = self.databases.copy()

    def drop(self) -> None:
        self.databases.drop(self._urls)

    @contextmanager
    def here(self) -> Iterator[None]:
        """Let everything inside happen at this location."""
        own = {
            "LOCATION_ID": self.name,
            "LOCATION_KEY": test_key(f"location {self.name}"),
            "PEERS": {name: PEERS[name] for name in self.peers},
        }
        with override_settings(**own), release(self.kind):
            self.databases.connect_django(self._urls)
            yield

    def write(self, uid: UUID, groups: Groups, **given: Any) -> list[Event]:
        """Record a change of an offer, named as this release names it."""
        self.now += 1_000_000
        event_type = given.pop("type", "sample.offer_changed")
        with self.here():
            draft = Draft(uid, event_type, groups, self.kind, **given)
            made = recorder.record([draft], self.author())
            number_all(self.name, streams.own_key())
        return made

    def number(self) -> None:
        """Give what is committed its numbers."""
        with self.here():
            number_all(self.name, streams.own_key())

    def author(self) -> Author:
        self._requests += 1
        return Author(None, self.name, self.now, f"request-{self.name}-{self._requests}")

    def stream(self) -> list[Run]:
        """Return all of this location's events, as it serves them."""
        with self.here():
            return pages(self.name)

    def take(self, runs: list[Run]) -> None:
        """Apply what of ``runs`` is not here yet."""
        with self.here():
            for run in runs:
                Applier(lambda: self.now).apply(run)

    def beat(self, other: Place) -> None:
        """Let another location hear what this one says of itself."""
        with self.here():
            said = json.loads(json.dumps(heartbeat.answer(self.now)))
        with other.here():
            contacts.note(self.name, wire.said_from_json(said), 0)

    def upgrade(self, kind: Kind) -> None:
        """Become another release, as ``manage.py migrate`` leaves it."""
        self.kind = kind
        with self.here():
            rebuild_all(Selection(is_due_only=True))

    def parked(self) -> dict[UUID, str | None]:
        with self.here():
            found = EntityHead.objects.filter(parked_reason__isnull=False)
            return dict(found.values_list("entity_uid", "parked_reason"))

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with self.here(), connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()

    def offers(self) -> list[tuple[Any, ...]]:
        """Return all versions of all offers, whole."""
        return self.rows("SELECT t::text FROM sample_offer t ORDER BY 1")

    def versions_sent(self) -> list[int]:
        """Return the schema version of each event of its own, by number."""
        runs = self.stream()
        return [json.loads(item.raw)["schema_version"] for run in runs for item in run.items]


@contextmanager
def places(databases: TestDatabases, **kinds: Kind) -> Iterator[list[Place]]:
    """Yield locations that are each other's peers, by name and release."""
    begin = 1_800_000_000_000_000
    found = [
        Place(databases, name, kind, tuple(kinds.keys() - {name}), begin)
        for name, kind in kinds.items()
    ]
    try:
        yield found
    finally:
        assert databases._in_use is not None
        databases.connect_django(databases._in_use)
        for place in found:
            place.drop()


def exchange(one: Place, other: Place) -> None:
    """Let two locations hear of each other and take each other's events."""
    one.beat(other)
    other.beat(one)
    for sender, receiver in ((one, other), (other, one)):
        receiver.take(sender.stream())
