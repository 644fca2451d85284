"""A person goes through every route of a location; nothing that is shipped holds her words."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from django.core.cache import cache
from pytest_django import Settings

from consumers.apply import Applier
from consumers.runner import now_us
from consumers.ship import Shipper
from consumers.ship_bulk import Bulk
from consumers.tests.fake_elasticsearch import FakeElasticsearch, running_fake
from consumers.tests.origins import number_all, pages
from customers.kinds import DETAIL_TYPES
from customers.tests.calling import Caller
from events import streams
from tests import readings
from tests.canary import WALKS, WORDS
from tests.databases import TestDatabases
from tests.reported import become

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.feature("R01")]

HERE, THERE = "loc1", "loc2"


@pytest.fixture(autouse=True)
def _fresh_limits() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def fake() -> Iterator[FakeElasticsearch]:
    with running_fake() as fake:
        yield fake


def ship_all(fake: FakeElasticsearch) -> list[dict]:
    """Return what this location ships."""
    known = set(fake.documents)
    bulk = Bulk(fake.url)
    shipper = Shipper(bulk, now_us)
    while shipper.step():
        pass
    bulk.close()
    return [document for name, document in fake.documents.items() if name not in known]


def test_no_document_holds_a_word_of_a_person(
    fake: FakeElasticsearch, settings: Settings, databases: TestDatabases
) -> None:
    for walk in WALKS:
        walk()
    assert Caller("agent").get("audit", {"actor": "Kanariella"}).status_code == 403
    number_all(HERE, streams.own_key())
    recorded = ship_all(fake)
    assert {document["sins.kind"] for document in recorded} >= {"recorded", "search", "refusal"}
    groups = {group for document in recorded for group in document.get("sins.groups", ())}
    details = DETAIL_TYPES.keys() - {"owner"}
    assert groups >= {*details, "display_name", "type", "deleted"}
    runs = pages(HERE)
    become(THERE, HERE, settings, databases)
    applier = Applier(now_us)
    for run in runs:
        applier.apply(run)
    applied = ship_all(fake)
    assert {document["sins.kind"] for document in applied} >= {"applied"}
    for documents in (recorded, applied):
        assert len(documents) > 5
        assert readings.found(WORDS, json.dumps(documents).encode()) == {}
