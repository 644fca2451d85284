"""Every transaction reaches a real Elasticsearch exactly once, whatever dies in between."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid5

import pytest
from django.core.management import call_command
from django.test import Client
from pytest_django import Settings

from accounts import access
from consumers import ship_documents, ship_sources, ship_status
from consumers.apply import Applier
from consumers.models import Unshipped
from consumers.runner import now_us
from consumers.ship_documents import Document
from consumers.tests.origins import SOURCE, Elsewhere, number_all, pages
from customers import commands
from customers.kinds import ENTITY
from events import streams
from events.drafting import Author, Draft
from events.models import Event
from events.recorder import record
from ops.elasticsearch_server import ElasticsearchServer
from tests import readings
from tests.bulk_proxy import (
    Answer,
    BulkProxy,
    Dropped,
    Forward,
    Overload,
    Pair,
    running_proxy,
)
from tests.canary import CANARY, OTHERS, WORDS
from tests.databases import TestDatabases
from tests.locations import wait_until
from tests.reported import Reported, become, ship_process, shipping, wait_until_shipped

pytestmark = [
    pytest.mark.elasticsearch,
    pytest.mark.django_db(transaction=True),
    pytest.mark.feature("R01"),
]

HERE, THERE = "loc1", "loc2"
EVENTS = 10_000
A_TRANSACTION = 1000
HOUR = 3_600_000_000  # µs


@pytest.fixture
def node(real_elasticsearch: ElasticsearchServer, settings: Settings) -> Iterator[Reported]:
    real_elasticsearch.start()
    node = Reported(real_elasticsearch)
    node.forget()
    settings.ELASTICSEARCH_HOST = real_elasticsearch.url
    yield node
    node.close()


@pytest.fixture
def proxy(real_elasticsearch: ElasticsearchServer) -> Iterator[BulkProxy]:
    with running_proxy(real_elasticsearch.url) as proxy:
        yield proxy


def write(events: int, at: int | None = None) -> None:
    """Let people come here, numbered."""
    for first in range(0, events, A_TRANSACTION):
        uids = [uuid5(SOURCE, str(n)) for n in range(first, min(first + A_TRANSACTION, events))]
        drafts = [
            Draft(uid, "customers.entity_created",
                  {"type": {"value": "PERSON"}, "surname": {"value": str(uid)}},
                  ENTITY, is_new=True)
            for uid in uids
        ]  # fmt: skip
        record(drafts, Author(uuid5(SOURCE, "ann"), HERE, at or now_us(), f"request-{first}"))
    number_all(HERE, streams.own_key())


def once_each(origin: str = HERE) -> Counter[str]:
    """Return what has to be reported of a stream: each of its events once."""
    ids = Event.objects.filter(origin=origin).values_list("event_id", flat=True)
    return Counter(map(str, ids))


def replay() -> None:
    """Ship everything once more."""
    call_command("consume", "ship", "--from-start")
    assert ship_status.streams_behind()
    wait_until_shipped()


def test_ten_thousand_events_through_an_overload(
    node: Reported, proxy: BulkProxy, settings: Settings, databases: TestDatabases
) -> None:
    proxy.trouble = overload = Overload(random.Random(5))
    write(EVENTS)
    written = once_each()
    assert len(written) == EVENTS
    with shipping(proxy.url, now_us):
        wait_until_shipped()
        assert node.ids(sins__kind="recorded") == written
        assert overload.refused_requests > 10
        assert overload.refused_documents > EVENTS / 20
        replay()
        assert node.ids(sins__kind="recorded") == written
    runs = pages(HERE)
    become(THERE, HERE, settings, databases)
    applier = Applier(now_us)
    assert sum(applier.apply(run) for run in runs) == EVENTS
    with shipping(proxy.url, now_us):
        wait_until_shipped()
        assert node.ids(sins__kind="applied", service__node__name=THERE) == written
        replay()
        assert node.ids(sins__kind="applied", service__node__name=THERE) == written
    assert node.ids(sins__kind="recorded") == written
    assert not Unshipped.objects.exists()


def halfway(end: Callable[[], None]) -> Callable[[Sequence[Pair], Forward], Answer]:
    """Return the trouble that ``end`` is called when half of the third request is there."""
    requests = iter(range(1, 1000))

    def trouble(pairs: Sequence[Pair], forward: Forward) -> Answer:
        if next(requests) != 3:
            return forward(pairs)
        status, said = forward(pairs[: len(pairs) // 2])
        assert status == 200
        assert {item["create"]["status"] for item in said["items"]} == {201}
        end()
        raise Dropped

    return trouble


def test_elasticsearch_killed_in_the_middle_of_a_bulk(
    node: Reported, proxy: BulkProxy, real_elasticsearch: ElasticsearchServer
) -> None:
    proxy.trouble = halfway(real_elasticsearch.kill)
    write(3000)
    with shipping(proxy.url, now_us):
        wait_until(lambda: real_elasticsearch.pid is None, 30, "killed")
        assert ship_status.streams_behind()
        real_elasticsearch.start()
        wait_until_shipped()
    assert node.ids(sins__kind="recorded") == once_each()
    assert not Unshipped.objects.exists()


def test_shipper_killed_in_the_middle_of_a_bulk(node: Reported, proxy: BulkProxy) -> None:
    write(3000)
    first = ship_process(proxy.url)
    proxy.trouble = halfway(first.kill)
    assert first.wait(60) == -9
    assert ship_status.streams_behind()
    again = ship_process(proxy.url)
    wait_until_shipped()
    again.terminate()
    assert again.wait(20) == 0
    assert node.ids(sins__kind="recorded") == once_each()


def test_poison_documents_are_kept_and_the_rest_goes_on(
    node: Reported, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One has a field that the strict mapping lacks, one a text no keyword may have."""
    write(20)
    commands.create_customer({"surname": "Long"}, Author(None, HERE, now_us(), "x" * 40_000))
    number_all(HERE, streams.own_key())
    strange = str(Event.objects.filter(origin=HERE).order_by("event_id")[3].event_id)
    built = ship_documents.of_event

    def with_strange_field(*arguments: Any) -> Document:
        document = built(*arguments)
        extra = {"sins.surname": "no"} if document.id == strange else {}
        return replace(document, fields={**document.fields, **extra})

    monkeypatch.setattr(ship_sources, "of_event", with_strange_field)
    with shipping(node.url, now_us):
        wait_until_shipped()
    long = str(Event.objects.filter(origin=HERE).latest("event_id").event_id)
    letters = {letter.document_id: letter for letter in Unshipped.objects.all()}
    assert letters.keys() == {strange, long}
    assert letters[strange].reason.startswith("400 strict_dynamic_mapping_exception")
    assert letters[strange].document["sins.surname"] == "no"
    assert letters[long].reason.startswith("400 document_parsing_exception")
    expected = once_each()
    assert node.ids(sins__kind="recorded") == expected - Counter([strange, long])
    monkeypatch.undo()  # mended, one of them
    with shipping(node.url, now_us):
        replay()
    assert [letter.document_id for letter in Unshipped.objects.all()] == [long]
    assert node.ids(sins__kind="recorded") == expected - Counter([long])


def test_trap_45_nobody_waits_while_elasticsearch_is_down(
    node: Reported, real_elasticsearch: ElasticsearchServer, client: Client
) -> None:
    write(10)
    with shipping(node.url, now_us):
        wait_until_shipped()
        assert client.get("/readyz").json()["status"] == "ready"
        real_elasticsearch.kill()
        begun = time.monotonic()
        pen = Elsewhere(HERE, now_us() - HOUR)
        for number in range(100):
            pen.create(EVENTS + number, surname="Meanwhile")
        access.log_access(
            access.SEARCH, at=now_us(), location=HERE, actor=None, route="api-customers",
            outcome=access.OK, request_id="request-1",
        )  # fmt: skip
        assert time.monotonic() - begun < 10
        number_all(HERE, streams.own_key())
        answer = client.get("/readyz")
        assert answer.status_code == 200
        assert answer.json()["status"] == "degraded"
        [said] = answer.json()["degraded"]
        assert said.startswith("elasticsearch: 3")
        assert ship_status.lag() == pytest.approx(3600, abs=60)
        real_elasticsearch.start()
        wait_until_shipped()
        wait_until(lambda: client.get("/readyz").json()["status"] == "ready", 20, "ready")
    assert node.ids(sins__kind="recorded") == once_each()
    assert len(node.ids(sins__kind="search")) == 1


def test_no_document_holds_what_is_personal(node: Reported) -> None:
    pen = Elsewhere(HERE, now_us())
    values = {**CANARY, "owner": str(uuid5(SOURCE, "owner"))}
    name, reason = OTHERS["display_name"], OTHERS["reason"]
    uid, _ = commands.create_customer(values, pen.author(), display_name=name)
    commands.delete_customer(uid, pen.author(), reason=reason)
    number_all(HERE, streams.own_key())
    with shipping(node.url, now_us):
        wait_until_shipped()
    documents = node.documents()
    groups = {group for document in documents for group in document.get("sins.groups", ())}
    assert groups == {*values, "type", "display_name", "deleted"}
    assert readings.found(WORDS, json.dumps(documents).encode()) == {}
