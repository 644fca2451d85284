"""Whatever arrives again, in whatever order between origins, changes not one byte."""

from __future__ import annotations

import hashlib
import json
import os
import random
import threading
from collections.abc import Iterator, Sequence

import psycopg
import pytest
from django.db import connection

from consumers import wire
from consumers.apply import Applier
from consumers.kafka_feed import KafkaFeed
from consumers.tests.origins import NOW, PEERS
from consumers.verify import Run, decoded
from events import streams
from events.digest import Digest, compared_tables, take
from events.kafka import Sender
from events.log import Sealed
from events.models import Conflict, DeadLetter, EntityHead
from events.recorder import Received, receive
from events.records import of_head, of_item, topic_of
from events.streams import Page
from ops import broker
from tests.by_hand import owner_url
from tests.databases import TestDatabases
from tests.replaying import assert_replay_is_live
from tests.streams import two_streams

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.feature("S03")]

IS_CI = os.environ.get("CI", "").lower() in {"1", "true"}
EVENTS = 2000
# From the broker: in CI more than it keeps of one topic.
EVENTS_OF_BROKER = int(os.environ.get("REPLAY_EVENTS", "20000" if IS_CI else "2000"))
TIMES = 3
LATER = NOW + 10**13


@pytest.fixture(autouse=True)
def peers(settings):
    settings.PEERS = PEERS


class Histories:
    """Streams of some size, and what one delivery in plain order makes of them; made once each."""

    def __init__(self, databases: TestDatabases) -> None:
        self._databases = databases
        self._made: dict[int, dict[str, list[Run]]] = {}
        self._found: dict[int, tuple[dict[str, str], Digest]] = {}

    def made(self, events: int) -> dict[str, list[Run]]:
        if events not in self._made:
            self._made[events] = two_streams(self._databases, events)
        return self._made[events]

    def found(self, events: int) -> tuple[dict[str, str], Digest]:
        if events not in self._found:
            assert applied(in_order(self.made(events))) == events
            assert Conflict.objects.exists()
            assert EntityHead.objects.filter(is_deleted=True).exists()
            self._found[events] = dump(), take()
            self._databases.renew()
        return self._found[events]


@pytest.fixture(scope="module")
def histories(databases: TestDatabases) -> Histories:
    return Histories(databases)


@pytest.fixture
def made(histories: Histories) -> dict[str, list[Run]]:
    return histories.made(EVENTS)


@pytest.fixture
def reference(histories: Histories) -> tuple[dict[str, str], Digest]:
    return histories.found(EVENTS)


def dump(*, is_with_versions: bool = False) -> dict[str, str]:
    """Return a hash of every byte of each compared table.

    ``is_with_versions`` adds which transaction wrote each row, and where: a row that is written
    again as it was shows, too.
    """
    found = {}
    for table in [*compared_tables(), "events_event", "events_eventnumber", "customers_searchkey"]:
        row = "(to_jsonb(t) - 'recorded_at' - 'id')::text"
        if is_with_versions:
            row = "to_jsonb(t)::text || ' ' || t.xmin::text || ' ' || t.ctid::text"
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {row} FROM {table} t ORDER BY 1")
            rows = cursor.fetchall()
        found[table] = hashlib.sha256(repr(rows).encode()).hexdigest()
    return found


def in_order(made: dict[str, list[Run]]) -> list[Run]:
    return [run for runs in made.values() for run in runs]


def interleaved(made: dict[str, list[Run]], seed: int) -> Iterator[Run]:
    """Yield each origin's runs in their order, the origins at random, each run three times."""
    dice = random.Random(seed)
    waiting = {origin: list(runs) for origin, runs in made.items()}
    while any(waiting.values()):
        origin = dice.choice([name for name, runs in waiting.items() if runs])
        run = waiting[origin].pop(0)
        for _ in range(TIMES):
            yield run


def applied(runs: Sequence[Run] | Iterator[Run]) -> int:
    applier = Applier(lambda: LATER)
    return sum(applier.apply(run) for run in runs)


@pytest.mark.parametrize("seed", [1, 2])
def test_trap_11_three_deliveries_interleaved_at_random(made, reference, seed):
    assert applied(interleaved(made, seed)) == EVENTS
    assert (dump(), take()) == reference


def test_trap_12_one_origin_is_starved_until_the_other_has_sent_all(made, reference):
    """loc3 wrote upon half of what loc2 had, of which nothing is here yet."""
    assert applied([*made["loc3"], *made["loc2"]]) == EVENTS
    assert (dump(), take()) == reference


def test_trap_11_replay_from_0_writes_no_row(made, reference):
    """With all it has, a location loses its cursors and numbers and hears everything again."""
    applied(in_order(made))
    before = dump(is_with_versions=True)
    with psycopg.connect(owner_url(), autocommit=True) as owner:
        owner.execute("DELETE FROM events_eventnumber")
        owner.execute("DELETE FROM events_received")
    assert applied(interleaved(made, 3)) == 0
    after = dump(is_with_versions=True)
    before.pop("events_eventnumber")
    after.pop("events_eventnumber")
    assert after == before
    assert dump() == reference[0]
    assert_replay_is_live()


def test_events_without_numbers_that_are_here_change_nothing(made, reference):
    applied(in_order(made))
    before = dump(is_with_versions=True)
    for run in in_order(made):
        sealed = [
            Sealed(decoded(item, run.origin), item.raw, item.ct, item.wrapped) for item in run.items
        ]
        assert receive(sealed, Received(LATER)) == []
    assert dump(is_with_versions=True) == before


def test_from_the_embedded_broker_and_what_it_lost_from_a_peer(histories):
    """The broker keeps about 5 MB a topic: what is gone before it is read is pulled."""
    made, reference = histories.made(EVENTS_OF_BROKER), histories.found(EVENTS_OF_BROKER)
    kept = broker.start()
    bootstrap = broker.address_of(kept)
    sender, stop = Sender(bootstrap), threading.Event()
    for run in interleaved(made, 4):
        records = [*(of_item(item, run.epoch) for item in run.items), of_head(run.head)]
        assert sender.send(topic_of(run.origin), records, stop) == len(records)
    sender.close()
    applier = Applier(lambda: LATER)
    feed = KafkaFeed(bootstrap, applier, lambda origin: pull(applier, made[origin]))
    last = {origin: runs[-1].head.seq for origin, runs in made.items()}
    idle = 0
    while idle < 40:
        idle = 0 if feed.step() else idle + 1
    feed.close()
    assert {origin: streams.applied_seq(origin, 1) for origin in made} == last
    assert (dump(), take()) == reference
    again = KafkaFeed(bootstrap, Applier(lambda: LATER), pytest.fail)
    before = dump(is_with_versions=True)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE events_received SET kafka_offset = 0")
    for _ in range(100):
        again.step()
    again.close()
    assert dump(is_with_versions=True) == before
    assert DeadLetter.objects.count() == 0
    del kept


def pull(applier: Applier, runs: Sequence[Run]) -> None:
    """Do what a contact does when it is poked: ask for the page behind the cursor, if any."""
    position = applier.position(runs[0].origin, 1)
    for run in runs:
        if run.items[0].seq <= position.seq + 1 <= run.head.seq:
            page = Page(run.origin, 1, run.items[0].seq - 1, run.before or b"", run.items, run.head)
            document = json.loads(json.dumps(wire.page_to_json(page)))
            travelled = wire.run_from_json(document, run.origin, 1)
            assert travelled is not None
            applier.apply(travelled)
            return
