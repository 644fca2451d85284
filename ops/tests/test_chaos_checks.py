"""The checks of the chaos runs see planted losses, differences and streams that do not move."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import psycopg
import pytest
from django.conf import settings
from django.db import connection
from django.test import Client

from ops.chaos.processes import quiet, tables
from ops.chaos.processes.checks import Checker
from ops.chaos.processes.history import ACKNOWLEDGED, DIVERGENT, LOST, PHANTOM, STUCK, History
from ops.chaos.processes.history import Write as Sent
from ops.chaos.processes.stack import ChaosStack
from ops.databases import DatabaseUrls
from ops.demo.places import LOCATIONS
from tests.databases import TestDatabases

UID = str(uuid4())
TYPE = "customers.details_changed"


class Copies:
    """Three locations that are databases only; what they say of themselves is set."""

    parts = (SimpleNamespace(location="loc1", name="web", pid=1),)
    names = LOCATIONS

    def __init__(self, urls: dict[str, DatabaseUrls]) -> None:
        self._urls = urls
        self.kafka = SimpleNamespace(cluster_id="one")
        self.run: Callable[..., CompletedProcess[str]]
        self.says: dict[str, dict[str, Any]] = {name: {"state": "equal"} for name in LOCATIONS}
        self.answer: dict[str, Any] = {"status": "ready", "failing": [], "degraded": []}

    def rows(self, name: str, query: Any, values: Any = ()) -> list[tuple[Any, ...]]:
        with psycopg.connect(self._urls[name].owner, autocommit=True) as connection:
            return connection.execute(query, values).fetchall()

    def plant(self, name: str, table: str, statement: Any, values: Any = ()) -> None:
        """Change rows behind the back of the location, as an error of its code would."""
        with psycopg.connect(self._urls[name].owner) as connection:
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
            connection.execute(statement, values)
            connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")

    def write(self, request_id: str, *names: str, event_type: str = TYPE) -> None:
        """Plant an event of loc1 with its number at these locations."""
        event_id = str(uuid4())
        raw = {
            "event_id": event_id, "request_id": request_id, "origin": "loc1", "entity_uid": UID,
            "tx": event_id, "tx_size": 1, "set": {"notes": {}}, "type": event_type,
        }  # fmt: skip
        for name in names:
            self.plant(name, "events_event", _EVENT, (event_id, UID, event_id, json.dumps(raw)))
            self.plant(name, "events_eventnumber", _NUMBER, (event_id,))
        self.plant("loc1", "events_published", _PUBLISHED)

    def keep_alive(self) -> bool:
        return True

    def readiness(self, name: str) -> dict[str, Any]:
        return self.answer

    def status(self, name: str) -> dict[str, Any]:
        return self.says[name]

    @property
    def as_stack(self) -> ChaosStack:
        return cast("ChaosStack", self)


_EVENT = """
INSERT INTO events_event (event_id, origin, entity_uid, type, ts, tx, tx_index, raw, recorded_at)
VALUES (%s, 'loc1', %s, 'customers.details_changed', 1, %s, 0, convert_to(%s, 'UTF8'), now())
"""
_NUMBER = """
INSERT INTO events_eventnumber (origin, epoch, seq, event_id, chain)
SELECT 'loc1', 1, count(*) + 1, %s, 'chain' FROM events_eventnumber
"""
_PUBLISHED = """
INSERT INTO events_published SELECT 'sins.events.loc1', 1, count(*) FROM events_eventnumber
ON CONFLICT (topic) DO UPDATE SET seq = excluded.seq
"""


@pytest.fixture
def copies(databases: TestDatabases) -> Iterator[Copies]:
    urls = {name: databases.copy() for name in LOCATIONS}
    yield Copies(urls)
    for each in urls.values():
        databases.drop(each)


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    history = History(tmp_path / "history.jsonl")
    yield history
    history.close()


def acknowledged(history: History) -> str:
    write = Sent("loc1", "PATCH", f"/customers/{UID}", (UID,), {"notes": "Text"}, str(uuid4()))
    history.sent(write)
    history.ended(write, ACKNOWLEDGED, 200)
    return write.request_id


def found(copies: Copies, history: History) -> set[str]:
    return {failure.kind for failure in Checker(copies.as_stack, history).light()}


def test_what_is_everywhere_is_right(copies: Copies, history: History) -> None:
    copies.write(acknowledged(history), *LOCATIONS)
    assert found(copies, history) == set()
    assert quiet.wait_until_quiet(copies.as_stack)[1] == []


def test_what_is_nowhere_is_lost(copies: Copies, history: History) -> None:
    acknowledged(history)
    assert found(copies, history) == {LOST}


def test_what_is_not_everywhere_is_lost(copies: Copies, history: History) -> None:
    copies.write(acknowledged(history), "loc1", "loc2")
    assert found(copies, history) == {DIVERGENT, LOST}


def test_what_nobody_asked_for_is_a_phantom(copies: Copies, history: History) -> None:
    copies.write("of nobody", *LOCATIONS)
    assert found(copies, history) == {PHANTOM}


def test_what_the_registry_says_nobody_has_to_ask_for(copies: Copies, history: History) -> None:
    copies.write("of the command", *LOCATIONS, event_type="events.location_key_added")
    assert found(copies, history) == set()


def test_events_are_looked_at_once_and_judged_always(copies: Copies, history: History) -> None:
    checker = Checker(copies.as_stack, history)
    for _ in range(3):
        copies.write(acknowledged(history), *LOCATIONS)
        assert checker.light() == []
    copies.write("of nobody", *LOCATIONS)
    assert [{f.kind for f in checker.light()} for _ in range(2)] == [{PHANTOM}, {PHANTOM}]


def test_a_gap_is_seen(copies: Copies, history: History) -> None:
    copies.write(acknowledged(history), *LOCATIONS)
    assert found(copies, history) == set()
    for name in LOCATIONS:
        copies.plant(name, "events_eventnumber", "UPDATE events_eventnumber SET seq = seq + 1")
    assert found(copies, history) == {LOST}


def test_a_kafka_has_what_is_numbered_since_it_began(copies: Copies, history: History) -> None:
    checker, told = Checker(copies.as_stack, history), []

    def run(name: str, *command: str) -> CompletedProcess[str]:
        told.append(json.loads(command[-1]))
        return CompletedProcess(command, 0, "", "")

    copies.run = run
    copies.write("before", *LOCATIONS)
    checker.begin()
    for cluster in ("one", "another", "another"):
        copies.kafka.cluster_id = cluster
        copies.write(acknowledged(history), *LOCATIONS)
        checker.light()
        assert list(checker._in_topics("loc1")) == []
    assert told == [{"loc1 1": 1}, {"loc1 1": 3}, {"loc1 1": 3}]


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("customers_detailtype", "UPDATE {} SET label = label || '.' WHERE code = 'notes'"),
        ("customers_detailtype", "DELETE FROM {} WHERE code = 'notes'"),
        ("events_event", "DELETE FROM {} WHERE ctid = (SELECT min(ctid) FROM {})"),
        ("events_subjectkey", "INSERT INTO {} VALUES (gen_random_uuid(), 'loc1', 'key')"),
    ],
)
def test_a_row_that_differs_is_seen(
    copies: Copies, history: History, table: str, change: str
) -> None:
    copies.plant("loc3", table, change.replace("{}", table))
    failures = Checker(copies.as_stack, history).light()
    assert {failure.kind for failure in failures} == {DIVERGENT}
    assert all(f"{table} differs between loc1 and loc3" in each.sentence for each in failures)


def test_a_byte_that_a_restart_changes_is_seen(copies: Copies) -> None:
    before, _ = tables.compare(copies.as_stack)
    for name in LOCATIONS:
        copies.plant(name, "customers_detailtype", "UPDATE customers_detailtype SET label = 'x'")
    after, failures = tables.compare(copies.as_stack)
    assert failures == []
    assert [f.kind for f in tables.changed(before, after)] == [DIVERGENT]


def not_arriving(copies: Copies) -> None:
    copies.write("any", "loc1", "loc2")


def not_numbered(copies: Copies) -> None:
    copies.plant("loc2", "events_outbox", "INSERT INTO events_outbox VALUES (1, gen_random_uuid())")


def not_published(copies: Copies) -> None:
    copies.write("any", *LOCATIONS)
    copies.plant("loc1", "events_published", "UPDATE events_published SET seq = 0")


@pytest.mark.parametrize("stick", [not_arriving, not_numbered, not_published])
def test_what_does_not_move_is_stuck_said_or_not(
    copies: Copies, monkeypatch: pytest.MonkeyPatch, stick: Callable[[Copies], None]
) -> None:
    stick(copies)
    monkeypatch.setattr(quiet, "ALARM_SECONDS", 0.0)
    ((kind, sentence),) = quiet.wait_until_quiet(copies.as_stack)[1]
    assert (kind, sentence.split(":")[0]) == (STUCK, "nobody says so")
    copies.says["loc1"] = {"state": "stuck"}
    monkeypatch.setattr(quiet, "PATIENCE_SECONDS", 0.0)
    ((kind, sentence),) = quiet.wait_until_quiet(copies.as_stack)[1]
    assert (kind, sentence.split("]")[0]) == (STUCK, "['loc1: stuck'")


def test_what_moves_has_to_be_said_by_nobody(
    copies: Copies, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every look finds that something has come; then it stands still."""
    looks = iter(range(6))
    monkeypatch.setattr(
        quiet, "standing", lambda _, name: (0, 0, [next(looks, 6)] if name == "loc1" else [])
    )
    monkeypatch.setattr(quiet, "ALARM_SECONDS", quiet.LOOK_SECONDS * 0.9)
    seconds, ((kind, sentence),) = quiet.wait_until_quiet(copies.as_stack)
    assert kind == STUCK
    assert sentence.startswith("nobody says so")
    assert seconds >= quiet.LOOK_SECONDS * 6


def test_who_complains_is_not_quiet(copies: Copies, monkeypatch: pytest.MonkeyPatch) -> None:
    copies.answer = {"status": "degraded", "failing": [], "degraded": ["peers out of reach: 1"]}
    monkeypatch.setattr(quiet, "ALARM_SECONDS", 0.0)
    monkeypatch.setattr(quiet, "PATIENCE_SECONDS", 0.0)
    ((kind, sentence),) = quiet.wait_until_quiet(copies.as_stack)[1]
    assert kind == STUCK
    assert "peers out of reach: 1" in sentence


@pytest.mark.django_db(transaction=True)
def test_who_has_no_database_complains(
    copies: Copies, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.close()
    monkeypatch.setitem(settings.DATABASES["default"], "PORT", 1)
    copies.answer = client.get("/readyz").json()
    assert not quiet.is_quiet(copies.as_stack, quiet.standings(copies.as_stack))
    assert quiet.complaints(copies.as_stack, "loc1") == ["database"]


def test_who_does_not_answer_is_not_quiet_and_says_nothing(copies: Copies) -> None:
    copies.answer, copies.says = {}, {name: {} for name in LOCATIONS}
    assert not quiet.is_quiet(copies.as_stack, quiet.standings(copies.as_stack))
    assert quiet.alarms(copies.as_stack) == []


@pytest.mark.parametrize(
    ("state", "is_alarm"),
    [
        ("equal", False),
        ("local only", False),
        ("catching up", False),
        ("stuck", True),
        ("unreachable", True),
        ("unequal", True),
        ("recovering", True),
    ],
)
def test_a_state_is_an_alarm_if_it_says_that_not_all_is_everywhere(
    copies: Copies, state: str, is_alarm: bool
) -> None:
    copies.says["loc2"] = {"state": state}
    assert quiet.alarms(copies.as_stack) == ([f"loc2: {state}"] if is_alarm else [])
