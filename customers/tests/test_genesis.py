"""What is built in has the same bytes for ever: locations make it without asking one another."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from uuid import UUID

import pytest

from customers.kinds import DETAIL_TYPE, ENTITY_TYPE
from customers.models import DetailType, EntityType
from events.conflicts import conflicts
from events.envelope import to_raw
from events.fold import fold
from events.genesis import genesis_events, record_genesis
from events.models import Event, Outbox
from events.registry import GenesisEntity

NETWORK = UUID("8d0c6a52-5d6f-4bb0-9f0b-0d7c6a8f3e11")
PINNED = "5c0f7095295439b50e806de5f3173e26f9c65301c5e4f02f0e3f63b94664e316"


@pytest.mark.feature("S04")
def test_todays_built_in_events_never_change() -> None:
    raws = [
        to_raw(event)
        for event in genesis_events(NETWORK)
        if event.type in {ENTITY_TYPE.genesis_type, DETAIL_TYPE.genesis_type}
    ]
    assert len(raws) == 11
    assert sha256(b"".join(sorted(raws))).hexdigest() == PINNED


@pytest.mark.django_db
def test_they_are_there_from_the_start_and_recorded_once() -> None:
    assert set(EntityType.objects.values_list("code", flat=True)) == {"PERSON", "INSTITUTION"}
    assert DetailType.objects.filter(valid_to__isnull=True).count() == 9
    events = Event.objects.count()
    assert record_genesis(1_800_000_000_000_000) == 0
    assert Event.objects.count() == events
    assert not Outbox.objects.exists()


def test_a_changed_definition_replaces_the_first_without_a_conflict(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    changed = GenesisEntity(3, "PERSON", {"definition": {"code": "PERSON", "label": "Human"}})
    genesis = (*ENTITY_TYPE.genesis, changed)
    monkeypatch.setattr("events.genesis.kinds", lambda: [replaced(genesis)])
    events = [e for e in genesis_events(NETWORK) if e.set["definition"]["code"] == "PERSON"]
    assert [e.ts for e in events] == [1, 3]
    assert not conflicts(events)
    labels = [v.values["label"] for v in fold(events, ENTITY_TYPE.rows).versions]
    assert labels == ["Person", "Human"]


@pytest.mark.feature("S09")
def test_a_later_schema_version_leaves_them_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [
        to_raw(made) for made in genesis_events(NETWORK) if made.type in ENTITY_TYPE.event_types
    ]
    later = replace(ENTITY_TYPE, event_types={ENTITY_TYPE.genesis_type: 2}, steps=((),))
    monkeypatch.setattr("events.genesis.kinds", lambda: [later])
    assert [to_raw(made) for made in genesis_events(NETWORK)] == before


def replaced(genesis: tuple[GenesisEntity, ...]) -> object:
    return replace(ENTITY_TYPE, genesis=genesis)
