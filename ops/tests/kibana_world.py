"""Three locations over one night, shipped by the real code to a real Elasticsearch.

What happened is kept beside, as PostgreSQL says it and as it was written here, so that what panels
show can be counted without Elasticsearch. Lags lie on plateaus: there a percentile is one of them
however it is interpolated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID, uuid5

import pytest
from pytest_django import Settings

from accounts import access
from consumers import ship_status
from consumers.apply import Applier
from consumers.ship import Shipper
from consumers.ship_bulk import Bulk
from consumers.ship_documents import FIELDS
from consumers.tests.origins import SOURCE, number_all, pages
from consumers.verify import Run
from customers import commands
from customers.kinds import ENTITY
from events import streams
from events.drafting import Author, Draft
from events.models import Event
from events.recorder import record
from ops.tests.kibana_questions import Period
from tests.databases import TestDatabases
from tests.reported import become

PERIOD = Period("2027-01-31T21:00:00.000Z", "2027-02-01T01:00:00.000Z", "1h")
ANN, BEN, CEM, DAN = (uuid5(SOURCE, name) for name in ("ann", "ben", "cem", "dan"))
SELF_CHECK = "self_check"  # comes with the customers' own page
LIST, RECORD, NOWHERE = "api/v1/customers", "api/v1/customers/<uuid:uid>", ""
STANDING = [name for name in FIELDS if name.startswith("sins.status.") and FIELDS[name] == "long"]


class Recorded(NamedTuple):
    location: str
    action: str
    actor: str
    at: int
    tx: str


class Applied(NamedTuple):
    location: str
    origin: str
    at: int
    lag: int


class Line(NamedTuple):
    location: str
    kind: str
    actor: str
    at: int
    route: str
    outcome: str


class Status(NamedTuple):
    location: str
    at: int
    state: str
    numbers: dict[str, int]


Served = list[tuple[str, list[Run]]]  # when, and what others were served of it


@dataclass
class World:
    """What happened, and what is reported of it to ``node``."""

    node: str
    settings: Settings
    databases: TestDatabases
    monkeypatch: pytest.MonkeyPatch
    recorded: list[Recorded] = field(default_factory=list)
    applied: list[Applied] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    statuses: list[Status] = field(default_factory=list)

    def happen(self) -> None:
        """Let the night pass: two locations write and apply, a third one is only asked."""
        served = self._first()
        become("loc2", "loc1", self.settings, self.databases)
        [(when, runs)] = self._second(served)
        become("loc1", "loc2", self.settings, self.databases)
        self._apply(when, runs, 700)
        self._ship(["00:58", "00:59"], "catching up", [4, 1, 2, 0, 3, 5])
        become("loc3", "loc1", self.settings, self.databases)
        self._log(access.SEARCH, "00:56", DAN, LIST)
        self._ship(["23:00"], "unreachable", [9, 8, 7, 6, 5, 4])

    def _first(self) -> Served:
        def import_two() -> None:
            drafts = [
                Draft(uid, "customers.entity_created", {"type": {"value": "PERSON"}}, ENTITY,
                      is_new=True)
                for uid in (person("import", 0), person("import", 1))
            ]  # fmt: skip
            record(drafts, self._author(None, "00:20"))

        served = [
            ("21:30", self._write(*self._enter("early", 3, ANN, "21:30"))),
            ("22:10", self._write(*self._enter("later", 4, BEN, "22:10"))),
            ("00:20", self._write(import_two)),
            ("00:40", self._write(*(self._change("early", n, ANN, "00:40") for n in (0, 1)))),
        ]
        for when, actor in (("21:45", ANN), ("22:15", ANN), ("22:50", BEN)):
            self._log(access.SEARCH, when, actor, LIST)
        self._log(SELF_CHECK, "23:10", CEM, RECORD)
        self._log(access.SIGN_IN, "21:15", ANN, "accounts/login/")
        for when in ("00:01", "00:02"):
            self._log(access.SIGN_IN, when, None, "accounts/login/", access.WRONG_CREDENTIALS)
        self._log(access.REFUSAL, "22:20", BEN, RECORD, access.LACKS_ROLE)
        self._log(access.REFUSAL, "22:30", None, LIST, access.UNAUTHENTICATED)
        self._ship(["22:30", "00:57"], "equal", [0, 0, 0, 0, 1, 0])
        return served

    def _second(self, served: Served) -> Served:
        for (when, runs), lag in zip(served, (200, 200, 5000, 5000), strict=True):
            self._apply(when, runs, lag)
        own = [("22:15", self._write(*self._enter("elsewhere", 6, CEM, "22:15")))]
        for when in ("22:16", "00:10"):
            self._log(access.SEARCH, when, CEM, LIST)
        self._log(SELF_CHECK, "23:20", CEM, RECORD)
        self._log(SELF_CHECK, "23:21", CEM, RECORD, access.LACKS_ROLE)
        self._log(access.REFUSAL, "00:30", CEM, RECORD, access.LACKS_ROLE)
        self._log(access.SIGN_OUT, "00:45", CEM, "accounts/logout/")
        self._ship(["00:50", "00:58"], "catching up", [2, 6, 0, 1, 1, 0])
        return own

    @property
    def _here(self) -> str:
        return str(self.settings.LOCATION_ID)

    def _author(self, actor: UUID | None, when: str) -> Author:
        return Author(actor, self._here, at(when), f"request-{when}")

    def _enter(self, name: str, people: int, actor: UUID, when: str) -> list[Callable[[], object]]:
        author = self._author(actor, when)
        enter = partial(commands.create_customer, {"surname": name}, author)
        return [partial(enter, entity_uid=person(name, number)) for number in range(people)]

    def _change(self, name: str, number: int, actor: UUID, when: str) -> Callable[[], object]:
        author, uid = self._author(actor, when), person(name, number)
        return partial(commands.change_customer, uid, {"phone": "+49 30 1"}, author)

    def _write(self, *writes: Callable[[], object]) -> list[Run]:
        """Write, number, and return what others are served of it."""
        known, positions = _known(), streams.positions()
        for write in writes:
            write()
        number_all(self._here, streams.own_key())
        self.recorded += [
            Recorded(self._here, event.type, str(event.actor or ""), event.ts, str(event.tx))
            for event in Event.objects.exclude(event_id__in=known)
        ]
        return pages(self._here, positions[self._here].seq)

    def _apply(self, when: str, runs: Sequence[Run], lag: int) -> None:
        known, applier = _known(), Applier(clock=lambda: at(when) + lag * 1000)
        for run in runs:
            applier.apply(run)
        for event in Event.objects.exclude(event_id__in=known):
            assert round(event.recorded_at.timestamp() * 1000) - event.ts // 1000 == lag
            self.applied.append(Applied(self._here, event.origin, event.ts, lag))

    def _log(
        self, kind: str, when: str, actor: UUID | None, route: str, outcome: str = access.OK
    ) -> None:
        access.log_access(
            kind, at=at(when), location=self._here, actor=actor, route=route, outcome=outcome,
            request_id="request-1",
        )  # fmt: skip
        self.lines.append(Line(self._here, kind, str(actor or ""), at(when), route, outcome))

    def _ship(self, minutes: Sequence[str], state: str, numbers: Sequence[int]) -> None:
        """Ship all there is, and how the location stands in each of these minutes."""
        standing = dict(zip(STANDING, numbers, strict=True))
        counts: dict[str, Any] = {name.rpartition(".")[2]: n for name, n in standing.items()}
        self.monkeypatch.setattr(ship_status, "counts", lambda: {"state": state, **counts})
        bulk = Bulk(self.node)
        for minute in map(at, minutes):
            shipper = Shipper(bulk, partial(int, minute))
            while shipper.step():
                pass
            self.statuses.append(Status(self._here, minute, state, standing))
        bulk.close()


def at(text: str) -> int:
    """Return a time of that night (µs): until midnight it is January, then February."""
    day = "2027-01-31" if text > "12" else "2027-02-01"
    return int(datetime.fromisoformat(f"{day}T{text}Z").timestamp()) * 1_000_000


def person(name: str, number: int) -> UUID:
    return uuid5(SOURCE, f"{name} {number}")


def _known() -> set[UUID]:
    return set(Event.objects.values_list("event_id", flat=True))
