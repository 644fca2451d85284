"""Each kind of document, to the byte; and that no document holds what is personal."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from accounts.lines import Line
from consumers.ship_documents import (
    FIELDS,
    NumberedEvent,
    lines_of,
    of_access,
    of_event,
    of_status,
)
from events.envelope import Event, Secret, to_raw

pytestmark = pytest.mark.feature("R01")

EVENT = Event(
    event_id=UUID("019a0000-0000-7000-8000-000000000001"),
    origin="loc1",
    entity_uid=UUID("019a0000-0000-7000-8000-000000000002"),
    type="customers.details_changed",
    schema_version=1,
    ts=1_767_225_599_999_999,  # the last µs of 2025
    tx=UUID("019a0000-0000-7000-8000-000000000003"),
    tx_index=1,
    tx_size=2,
    set={"surname": {"value": "Zwitschervogel"}, "deleted": {"value": False}},
    base={"surname": None},
    effective=1_767_000_000_000_000,
    subject_uid=UUID("019a0000-0000-7000-8000-000000000002"),
    actor=UUID("019a0000-0000-7000-8000-000000000004"),
    request_id="5f0c4d1e9b7a4c3d8e2f1a0b9c8d7e6f",
    secret=Secret("kid", "00", "11"),
)
OF_EVENT = {
    "@timestamp": "2025-12-31T23:59:59.999999Z",
    "event.id": "019a0000-0000-7000-8000-000000000001",
    "event.kind": "event",
    "event.dataset": "sins.transactions",
    "event.action": "customers.details_changed",
    "event.outcome": "success",
    "event.created": "2026-01-01T00:00:01Z",
    "event.sequence": 7,
    "event.hash": "0aff",
    "user.id": "019a0000-0000-7000-8000-000000000004",
    "service.node.name": "loc1",
    "http.request.id": "5f0c4d1e9b7a4c3d8e2f1a0b9c8d7e6f",
    "trace.id": "5f0c4d1e9b7a4c3d8e2f1a0b9c8d7e6f",
    "sins.kind": "recorded",
    "sins.origin": "loc1",
    "sins.epoch": 2,
    "sins.tx.id": "019a0000-0000-7000-8000-000000000003",
    "sins.tx.index": 1,
    "sins.tx.size": 2,
    "sins.entity.uid": "019a0000-0000-7000-8000-000000000002",
    "sins.entity.kind": "customers.entity",
    "sins.groups": ["deleted", "surname"],
    "sins.schema_version": 1,
    "sins.effective": "2025-12-29T09:20:00Z",
}
LINE = Line(
    id=9,
    uid=UUID("019a0000-0000-7000-8000-000000000005"),
    at=datetime(2026, 2, 28, 23, 59, 59, 5, tzinfo=UTC),
    kind="search",
    actor=UUID("019a0000-0000-7000-8000-000000000004"),
    location="loc1",
    route="api/v1/customers",
    outcome="ok",
    request_id="request-0002",
)
OF_ACCESS = {
    "@timestamp": "2026-02-28T23:59:59.000005Z",
    "event.id": "019a0000-0000-7000-8000-000000000005",
    "event.kind": "event",
    "event.dataset": "sins.access",
    "event.action": "search",
    "event.outcome": "success",
    "event.created": "2026-02-28T23:59:59.000005Z",
    "user.id": "019a0000-0000-7000-8000-000000000004",
    "service.node.name": "loc1",
    "http.request.id": "request-0002",
    "trace.id": "e595a7ed806f2f2463d43325ff809ffb",
    "sins.kind": "search",
    "sins.origin": "loc1",
    "sins.route": "api/v1/customers",
    "sins.reason": "ok",
}


def numbered(event: Event) -> NumberedEvent:
    return NumberedEvent(
        7, b"\x0a\xff", str(event.event_id), str(event.entity_uid), event.type,
        None if event.actor is None else str(event.actor), event.ts, str(event.tx), event.tx_index,
        to_raw(event, frozenset({"deleted"})), 1_767_225_601_000_000,
    )  # fmt: skip


def test_recorded() -> None:
    document = of_event(numbered(EVENT), "loc1", 2, "loc1", "customers.entity")
    assert document.fields == OF_EVENT
    assert (document.id, document.index) == (str(EVENT.event_id), "sins-tx-2025.12")


def test_applied_has_an_id_of_its_own_and_the_lag() -> None:
    document = of_event(numbered(EVENT), "loc1", 2, "loc3", "customers.entity")
    other = {"sins.kind": "applied", "service.node.name": "loc3", "sins.lag_ms": 1000}
    assert document.fields == OF_EVENT | other
    assert (document.id, document.index) == (f"{EVENT.event_id}:loc3", "sins-tx-2025.12")


def test_what_is_not_there_is_left_out() -> None:
    bare = replace(EVENT, actor=None, request_id="", effective=None)
    document = of_event(numbered(bare), "loc1", 2, "loc1", None)
    gone = {"user.id", "http.request.id", "trace.id", "sins.effective", "sins.entity.kind"}
    assert document.fields == {name: v for name, v in OF_EVENT.items() if name not in gone}


def test_change_is_effective_no_later_than_it_was_made() -> None:
    early = replace(EVENT, effective=EVENT.ts + 1_000_000)
    fields = of_event(numbered(early), "loc1", 2, "loc1", None).fields
    assert fields["sins.effective"] == fields["@timestamp"]


def test_access() -> None:
    document = of_access(LINE, "loc1")
    assert document.fields == OF_ACCESS
    assert (document.id, document.index) == (str(LINE.uid), "sins-tx-2026.02")


@pytest.mark.parametrize("kind", ["refusal", "search", "self_check", "sign_in", "token_issued"])
@pytest.mark.parametrize("outcome", ["lacks_role", "unauthenticated", "locked_out", "too_many"])
def test_access_of_any_kind_that_was_not_let_in_is_a_failure(kind: str, outcome: str) -> None:
    bare = LINE._replace(kind=kind, outcome=outcome, actor=None, route="", request_id="")
    said = {"sins.kind": kind, "event.action": kind, "event.outcome": "failure",
            "sins.reason": outcome}  # fmt: skip
    gone = {"user.id", "sins.route", "http.request.id", "trace.id"}
    kept = {name: value for name, value in OF_ACCESS.items() if name not in gone}
    assert of_access(bare, "loc1").fields == kept | said


def test_status() -> None:
    counts: dict[str, str | int] = {"state": "equal", "lag_events": 3, "unshipped": 0}
    document = of_status(counts, "loc2", 29_453_760)
    assert document.fields == {
        "@timestamp": "2026-01-01T00:00:00Z",
        "event.id": "status:loc2:2026-01-01T00:00Z",
        "event.kind": "metric",
        "event.dataset": "sins.status",
        "event.action": "status",
        "event.outcome": "success",
        "event.created": "2026-01-01T00:00:00Z",
        "service.node.name": "loc2",
        "sins.kind": "status",
        "sins.origin": "loc2",
        "sins.status.state": "equal",
        "sins.status.lag_events": 3,
        "sins.status.unshipped": 0,
    }
    assert (document.id, document.index) == ("status:loc2:2026-01-01T00:00Z", "sins-tx-2026.01")


def test_lines_create_and_never_replace() -> None:
    action, source = lines_of([of_access(LINE, "loc1")])
    assert json.loads(action) == {"create": {"_index": "sins-tx-2026.02", "_id": str(LINE.uid)}}
    assert json.loads(source) == OF_ACCESS


def test_every_field_is_in_the_mapping() -> None:
    applied = of_event(numbered(EVENT), "loc1", 2, "loc3", "customers.entity")
    status = {name for name in FIELDS if name.startswith("sins.status.")}
    assert OF_ACCESS.keys() | applied.fields.keys() | status == FIELDS.keys()
