"""What is shipped, in which order, and what is not lost when Elasticsearch does not take it."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import connection
from elasticsearch import ApiError, TransportError
from pytest_django import Settings

from accounts import access
from consumers import ship_sources, ship_status
from consumers.models import ShipCursor, Unshipped
from consumers.runner import now_us
from consumers.ship import IDLE_SECONDS, Shipper
from consumers.ship_bulk import Bulk
from consumers.ship_documents import FIELDS
from consumers.tests.fake_elasticsearch import FakeElasticsearch, running_fake
from consumers.tests.origins import NOW, SEEDS, Elsewhere, number_all, three_people_of
from events import streams
from events.loops import Loop
from events.models import Event, EventNumber
from tests.locations import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.feature("R01")]

HERE = "loc1"
HOUR = 3_600_000_000  # µs


@pytest.fixture
def fake(settings: Settings) -> Iterator[FakeElasticsearch]:
    with running_fake() as fake:
        settings.ELASTICSEARCH_HOST = fake.url
        yield fake


@pytest.fixture
def shipper(fake: FakeElasticsearch) -> Iterator[Shipper]:
    bulk = Bulk(fake.url)
    yield Shipper(bulk, lambda: NOW)
    bulk.close()


def ship_all(shipper: Shipper) -> None:
    while shipper.step():
        pass


def write(people: int, first: int = 0, at: int = NOW) -> list[str]:
    """Let people come here, numbered; return the ids of the events."""
    known = set(Event.objects.values_list("event_id", flat=True))
    pen = Elsewhere(HERE, at)
    for number in range(first, first + people):
        pen.create(number, surname="Own")
    number_all(HERE, streams.own_key())
    rows = EventNumber.objects.filter(origin=HERE).order_by("seq").values_list("event_id")
    return [str(event_id) for (event_id,) in rows if event_id not in known]


def log_searches(count: int, at: int = NOW) -> None:
    for number in range(count):
        access.log_access(
            access.SEARCH, at=at, location=HERE, actor=uuid4(), route="api-customers",
            outcome=access.OK, request_id=f"request-{number}",
        )  # fmt: skip


def cursors() -> dict[str, int]:
    return dict(ShipCursor.objects.values_list("stream", "number"))


def test_everything_is_shipped_once_in_order(databases, applier, shipper, fake) -> None:
    runs = three_people_of(databases)
    own = write(4)
    applier.apply(runs[0])
    log_searches(3)
    ship_all(shipper)
    kinds = [document["sins.kind"] for document in fake.documents.values()]
    assert sorted(kinds) == ["applied"] * 5 + ["recorded"] * 4 + ["search"] * 3 + ["status"]
    assert [name for name in fake.documents if name in own] == own
    applied = [d["event.sequence"] for d in fake.documents.values() if d["sins.kind"] == "applied"]
    assert applied == [1, 2, 3, 4, 5]
    minute = NOW // 60_000_000
    assert cursors() == {"access": 3, "loc1:1": 4, "loc2:1": 5, "status": minute}
    sent = len(fake.bulks)
    ship_all(shipper)
    assert len(fake.bulks) == sent


def test_replay_changes_nothing(shipper, fake) -> None:
    write(3)
    log_searches(2)
    ship_all(shipper)
    before = dict(fake.documents)
    call_command("consume", "ship", "--from-start")
    assert cursors()["loc1:1"] == cursors()["access"] == 0
    sent = len(fake.bulks)
    ship_all(shipper)
    assert len(fake.bulks) == sent + 2
    assert fake.documents == before


def test_cursor_put_back_meanwhile_stays_back(shipper, fake) -> None:
    write(3)
    ship_all(shipper)
    write(2, first=10, at=NOW + HOUR)

    def put_back(_: list[str]) -> dict[str, int]:
        call_command("consume", "ship", "--from-start")
        connection.close()  # of the thread that answers
        return {}

    fake.mood = put_back
    shipper._send(next(ship_sources.chunks(NOW)))
    assert shipper._is_taken()
    assert cursors()["loc1:1"] == 0


def test_template_is_there_before_the_first_document(shipper, fake) -> None:
    write(1)
    shipper.step()
    assert [asked.split("?")[0] for asked in fake.asked[:3]] == [
        "PUT /_index_template/sins-tx", "PUT /sins-tx-*/_mapping", "PUT /_bulk"]  # fmt: skip
    told = fake.told["PUT /_index_template/sins-tx"]
    assert told["index_patterns"] == ["sins-tx-*"]
    assert told["priority"] == 500
    mappings = told["template"]["mappings"]
    assert mappings["dynamic"] == "strict"
    assert mappings["properties"] == {name: {"type": kind} for name, kind in FIELDS.items()}
    shipper.step()
    assert len(fake.told) == 2
    shipper.recover()
    shipper.step()
    assert fake.asked.count("PUT /_index_template/sins-tx") == 2


def test_poison_document_is_kept_and_the_rest_goes_on(shipper, fake) -> None:
    own = write(5)
    fake.mood = lambda ids: {own[2]: 400}
    ship_all(shipper)
    assert cursors()["loc1:1"] == 5
    assert set(own) - fake.documents.keys() == {own[2]}
    letter = Unshipped.objects.get()
    assert (letter.document_id, letter.index) == (own[2], "sins-tx-2027.01")
    assert letter.reason == "400 document_parsing_exception this one"
    assert letter.document["event.id"] == own[2]
    assert "elasticsearch: documents refused: 1" in ship_status.degraded()
    call_command("consume", "ship", "--from-start")
    ship_all(shipper)
    assert Unshipped.objects.count() == 1
    fake.mood = lambda ids: {}
    call_command("consume", "ship", "--from-start")
    ship_all(shipper)
    assert not Unshipped.objects.exists()
    assert fake.documents.keys() >= set(own)


@pytest.mark.parametrize("status", [429, 500, 503, 401, 403, 404])
def test_document_not_taken_now_is_sent_again_alone(shipper, fake, status) -> None:
    own = write(5)
    fake.mood = lambda ids: {own[1]: status, own[3]: status}
    assert not shipper.step()
    assert not shipper.step()
    assert 0 < shipper.pause() <= 0.2
    assert "loc1:1" not in cursors()
    fake.mood = lambda ids: {}
    ship_all(shipper)
    assert shipper.pause() == IDLE_SECONDS
    assert [bulk for bulk in fake.bulks if bulk[0] in own] == [own, *[[own[1], own[3]]] * 2]
    assert cursors()["loc1:1"] == 5
    assert not Unshipped.objects.exists()
    assert fake.documents.keys() >= set(own)


@pytest.mark.parametrize("why", ["validation_exception", "index_closed_exception", "unheard_of"])
def test_a_400_that_is_not_about_the_document_waits(shipper, fake, why) -> None:
    own = write(3)
    fake.why = why
    fake.mood = lambda ids: dict.fromkeys(ids, 400)
    assert not shipper.step()
    assert "loc1:1" not in cursors()
    assert not Unshipped.objects.exists()
    fake.mood = lambda ids: {}
    ship_all(shipper)
    assert fake.documents.keys() >= set(own)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 401, 403, 404])
def test_request_not_taken_now_is_sent_again(shipper, fake, status) -> None:
    own = write(3)
    fake.mood = lambda ids: status
    for _ in range(2):
        with pytest.raises(ApiError):
            shipper.step()
    assert "loc1:1" not in cursors()
    fake.mood = lambda ids: {}
    ship_all(shipper)
    assert fake.documents.keys() >= set(own)
    assert not Unshipped.objects.exists()


def test_request_refused_for_one_document_is_sent_in_halves(shipper, fake) -> None:
    own = write(9)
    fake.mood = lambda ids: 413 if own[6] in ids else {}
    ship_all(shipper)
    assert set(own) - fake.documents.keys() == {own[6]}
    assert Unshipped.objects.get().reason == "413"
    assert cursors()["loc1:1"] == 9


def test_nobody_there_loses_nothing(shipper, fake, settings) -> None:
    own = write(3)
    gone = Bulk("http://127.0.0.1:9")
    away = Shipper(gone, lambda: NOW)
    with pytest.raises(TransportError):
        away.step()
    gone.close()
    assert cursors() == {}
    ship_all(shipper)
    assert fake.documents.keys() >= set(own)


def test_crash_between_sending_and_saving_makes_no_double(shipper, fake, monkeypatch) -> None:
    own = write(3)

    def crash(*_: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr("consumers.ship_cursors.save", crash)
        with pytest.raises(RuntimeError):
            shipper.step()
    assert cursors() == {}
    bulk = Bulk(fake.url)
    ship_all(Shipper(bulk, lambda: NOW))
    bulk.close()
    assert fake.bulks[:2] == [own, own]
    assert [name for name in fake.documents if not name.startswith("status")] == own


def test_numbers_without_an_event_are_skipped(databases, applier, shipper, fake) -> None:
    applier.apply(three_people_of(databases)[0])
    with connection.cursor() as cursor:  # as its owner left bytes that are no event
        cursor.execute(
            "INSERT INTO events_eventnumber (origin, epoch, seq, event_id, chain)"
            " VALUES ('loc2', 1, 6, NULL, ''), ('loc2', 1, 7, NULL, '')"
        )
        cursor.execute("UPDATE events_received SET seq = 7 WHERE origin = 'loc2'")
    ship_all(shipper)
    assert cursors()["loc2:1"] == 7
    assert sum(d["sins.kind"] == "applied" for d in fake.documents.values()) == 5
    number_all("loc2", SEEDS["loc2"])


def test_chunks_are_bounded(shipper, fake, monkeypatch) -> None:
    own = write(7)
    log_searches(5)
    monkeypatch.setattr(ship_sources, "MOST_DOCUMENTS", 3)
    ship_all(shipper)
    assert max(map(len, fake.bulks)) == 3
    assert fake.documents.keys() >= set(own)
    call_command("consume", "ship", "--from-start")
    monkeypatch.setattr(ship_sources, "MOST_BYTES", 1)  # one event is always taken
    sent = len(fake.bulks)
    ship_all(shipper)
    assert [len(bulk) for bulk in fake.bulks[sent:] if bulk[0] in own] == [1] * 7


def test_status_is_one_document_a_minute(fake) -> None:
    now = [NOW]
    bulk = Bulk(fake.url)
    shipper = Shipper(bulk, lambda: now[0])
    for seconds in (0, 30, 59, 60, 61, 600):
        now[0] = NOW + seconds * 1_000_000
        ship_all(shipper)
    bulk.close()
    assert list(fake.documents) == [
        f"status:loc1:2027-01-15T08:{minute}Z" for minute in ("00", "01", "10")
    ]
    document = fake.documents["status:loc1:2027-01-15T08:00Z"]
    assert (document["event.kind"], document["sins.kind"]) == ("metric", "status")
    assert document["sins.status.state"] == "unreachable"
    names = {name for name in FIELDS if name.startswith("sins.status.")}
    assert names <= document.keys()


def test_off_without_a_host(settings, capsys) -> None:
    settings.ELASTICSEARCH_HOST = ""
    log_searches(1)
    call_command("consume", "ship")
    assert cursors() == {}
    assert ship_status.lag() is None
    assert ship_status.degraded() == []


def test_lag_is_the_age_of_the_oldest(shipper, fake) -> None:
    assert ship_status.lag() == 0
    write(2, at=now_us() - HOUR)
    log_searches(1, at=now_us() - 2 * HOUR)
    assert ship_status.lag() == pytest.approx(2 * 3600, abs=60)
    for chunk in ship_sources.chunks(NOW):
        if chunk.stream == "access":
            shipper._send(chunk)
            assert shipper._is_taken()
    assert ship_status.lag() == pytest.approx(3600, abs=60)
    ship_all(shipper)
    assert ship_status.lag() == 0


def test_lag_grows_while_nothing_happens(fake) -> None:
    long_ago = now_us() - HOUR
    bulk = Bulk(fake.url)
    ship_all(Shipper(bulk, lambda: long_ago))
    bulk.close()
    assert ship_status.lag() == pytest.approx(3600, abs=120)


def test_readyz_says_that_elasticsearch_lags_and_for_how_long(shipper, fake, client) -> None:
    assert client.get("/readyz").json()["degraded"] == ["peers out of reach: 2"]
    write(1, at=now_us() - HOUR)
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["status"] == "degraded"
    [sentence] = [said for said in answer.json()["degraded"] if "elasticsearch" in said]
    age = re.fullmatch(r"elasticsearch: (\d+) s behind", sentence)
    assert age is not None
    assert int(age[1]) == pytest.approx(3600, abs=60)
    ship_all(shipper)
    assert client.get("/readyz").json()["degraded"] == ["peers out of reach: 2"]


def test_back_off_then_everything_arrives(fake) -> None:
    """The process as it runs: nobody answers well for a while, then all of it is there."""
    own = write(20)
    troubles = iter([429, 503, 500, {own[3]: 429}, {own[3]: 503}])
    fake.mood = lambda ids: next(troubles, {})
    stop = threading.Event()
    bulk = Bulk(fake.url)
    shipper = Shipper(bulk, lambda: NOW)
    thread = Loop("ship", shipper.step, lambda: 0.05, stop, recover=shipper.recover).thread()
    wait_until(lambda: fake.documents.keys() >= set(own), 20, "all shipped")
    stop.set()
    thread.join(10)
    bulk.close()
    assert not Unshipped.objects.exists()
