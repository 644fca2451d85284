"""A person goes through every route of a location; none of her words is found afterwards.

Looked through are the logs, what is printed, what Kafka got, and in a dump of the database all but
the rows agents search; then the same at a location that could not read some of what Kafka brought.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from uuid import uuid4

import pytest
from django.core.cache import cache
from django.db import connection
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from pytest_django import Settings

from consumers.apply import APPLIED, Applier
from consumers.kafka_feed import KafkaFeed
from consumers.metrics import Standing
from consumers.runner import now_us
from consumers.tests.origins import pages
from consumers.verify import Run, decoded
from events import chain, streams
from events.models import DeadLetter, Event
from events.records import CT, Record, is_head, read_item, topic_of
from ops import broker
from sins.middleware import REQUEST
from tests import readings
from tests.canary import WALKS, WORDS, ask_everywhere
from tests.databases import TestDatabases
from tests.environment import test_key
from tests.locations import wait_until
from tests.logged import logged
from tests.routes import routes
from tests.spans import kept_spans
from tests.traces import bytes_of, dump, publisher, send, topics

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.feature("R04")]

HERE, THERE = "loc1", "loc2"
TOPIC = topic_of(HERE)
# The rows that agents search hold plain values.
PLAIN = {"customers_entity", "customers_entitydetail", "customers_searchkey"}
HERS = {"zwitscher", "cnry-7", "singt-nachts"}


@pytest.fixture(autouse=True)
def _fresh_limits() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def brokers() -> Iterator[list[str]]:
    """Two brokers: the one she is sent to, and the one another location reads."""
    kept = [broker.start(), broker.start()]
    yield [broker.address_of(each) for each in kept]
    kept.clear()


def found(*texts: bytes) -> dict[str, bytes]:
    return readings.found(WORDS, *texts)


def test_no_word_of_a_person_is_left_behind(
    capfd: pytest.CaptureFixture[str],
    settings: Settings,
    databases: TestDatabases,
    brokers: list[str],
) -> None:
    first, second = brokers
    with logged() as lines, kept_spans() as spans:
        go_everywhere(first)
        sent = topics(first)
        check_records(sent)
        check_dump()
        runs = pages(HERE)
        move_to_the_other_location(settings, databases)
        damaged = damaged_at_the_end(sent[TOPIC])
        send(second, TOPIC, damaged)
        receive(second, runs)
        ask_everywhere()
        check_dump()
        check_dead_letters(damaged)
    check_log(lines)
    check_observed(spans)
    printed = capfd.readouterr()
    assert found(printed.out.encode(), printed.err.encode()) == {}


def go_everywhere(bootstrap: str) -> None:
    """Take all her walks, and send what came of each: several pages, several signed heads."""
    visited: set[str] = set()
    with publisher(bootstrap) as publish:
        for walk in WALKS:
            visited |= walk()
            publish()
    assert visited >= routes(uuid4()).keys()


def check_records(sent: dict[str, list[Record]]) -> None:
    """Every event has gone to Kafka, hers can be opened there, and nothing shows a word."""
    events = [record for record in sent[TOPIC] if not is_head(record)]
    assert len(events) == Event.objects.filter(origin=HERE).count() > 5
    sealed = [record for record in events if CT in record.headers]
    opened = [decoded(read_item(record)[1], HERE) for record in sealed]
    assert found(*(str(event.set).encode() for event in opened)).keys() >= HERS
    for topic, records in sent.items():
        assert found(topic.encode(), *map(bytes_of, records)) == {}


def check_dump() -> None:
    dumped = dump()
    assert dumped.keys() == {*tables(), ""}
    assert found(dumped["customers_entitydetail"]).keys() >= HERS
    for table, content in dumped.items():
        if table not in PLAIN:
            assert found(content) == {}, table


def tables() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return [table for (table,) in cursor.fetchall()]


def move_to_the_other_location(settings: Settings, databases: TestDatabases) -> None:
    """From here on this process is another location, empty, whose peer is hers."""
    key = base64.b64encode(chain.public_key(streams.own_key())).decode()
    settings.PEERS = {HERE: {"url": "http://127.0.0.1:9", "public_key": key}}
    settings.LOCATION_ID = THERE
    settings.LOCATION_KEY = test_key(f"location key of {THERE}")
    databases.renew()
    cache.clear()


# What may happen to a record, and the reason that then stands with the dead letter.
DAMAGES: dict[str, Callable[[Record], Record]] = {
    "MissingKey": lambda r: replace(r, headers={**r.headers, CT: r.headers[CT][::-1]}),
    "UndecodableEvent": lambda r: replace(r, value=r.value + r.headers[CT]),
    "unreadable record": lambda r: Record(r.key, bytes_of(r)),
}


def damaged_at_the_end(records: list[Record]) -> list[Record]:
    """Return the records, the last of hers damaged in each way; the ones before can be applied."""
    sealed = [number for number, record in enumerate(records) if CT in record.headers]
    damaged = list(records)
    for number, damage in zip(sealed[-len(DAMAGES) :], DAMAGES.values(), strict=True):
        damaged[number] = damage(records[number])
    return damaged


def receive(bootstrap: str, runs: Sequence[Run]) -> None:
    """Read the topic, bury what cannot be read, then pull it as a poked contact does."""
    applier, poked = Applier(now_us), list[str]()
    feed = KafkaFeed(bootstrap, applier, poked.append)
    wait_until(
        lambda: not feed.step() and DeadLetter.objects.count() == len(DAMAGES), 20, "dead letters"
    )
    feed.close()
    last = runs[-1].head.seq
    assert 0 < streams.applied_seq(HERE, 1) < last
    assert set(poked) == {HERE}
    for run in runs:
        applier.apply(run)
    assert streams.applied_seq(HERE, 1) == last


def check_dead_letters(damaged: list[Record]) -> None:
    """The letters are her own records, ciphertext and all."""
    letters = {letter.reason: bytes(letter.raw) for letter in DeadLetter.objects.all()}
    assert letters.keys() == DAMAGES.keys()
    assert set(letters.values()) <= {record.value for record in damaged}
    ciphertexts = [record.headers[CT] for record in damaged if CT in record.headers]
    assert any(ct in raw for raw in letters.values() for ct in ciphertexts)
    assert found(*letters.values()) == {}


def check_observed(spans: InMemorySpanExporter) -> None:
    """What Prometheus and a collector of traces would get."""
    traces = [span.to_json() for span in spans.get_finished_spans()]
    assert {APPLIED, REQUEST} <= {json.loads(trace)["name"] for trace in traces}
    registry = CollectorRegistry()
    registry.register(Standing())
    metrics = [generate_latest(registry), generate_latest(REGISTRY)]
    assert b"sins_requests_total" in metrics[1]
    assert found(*metrics, *(trace.encode() for trace in traces)) == {}


def check_log(lines: io.StringIO) -> None:
    written = lines.getvalue()
    assert found(written.encode()) == {}
    said = [json.loads(line) for line in written.splitlines()]
    assert {line.get("status") for line in said} >= {200, 201, 204, 302, 400, 404, 409, 412, 500}
    assert any("exception" in line for line in said)
