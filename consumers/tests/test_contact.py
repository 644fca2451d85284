"""One peer and one location in one process: what is asked, pulled, noted, refused."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest import mock

import httpx
import pytest

from consumers import contact, runner, wire
from consumers.contact import Contact, Network
from consumers.deliveries import Deliveries, Delivery
from consumers.errors import PeerFailed
from consumers.pull import Peer
from consumers.runner import Consumer
from consumers.tests.origins import (
    NOW,
    PEERS,
    SEEDS,
    Elsewhere,
    number_all,
    person,
    signed,
    stream_of,
    three_people_of,
)
from consumers.verify import Run
from customers import commands, queries
from customers.kinds import ENTITY
from events import contacts, recorder, streams
from events.digest import BUCKETS_BYTES
from events.drafting import Draft
from events.models import DeadLetter, PeerContact
from events.status import sync_status
from events.streams import Page
from tests.replaying import assert_replay_is_live

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.feature("S06")]


def now_us() -> int:
    return time.time_ns() // 1000


class FakePeer:
    """Answers as loc2 would, out of its pages; ``spoil`` changes answers."""

    def __init__(self, runs: dict[str, list[Run]]) -> None:
        self.runs = runs
        self.asked: list[str] = []
        self.spoil: Callable[[str, Any], Any] = lambda route, answer: answer

    def __call__(self, request: httpx.Request) -> httpx.Response:
        route = request.url.path.removeprefix("/sync/")
        self.asked.append(route)
        assert set(request.headers) >= {"x-sins-location", "x-sins-date", "x-sins-signature"}
        answer = self.spoil(route, getattr(self, route)(dict(request.url.params)))
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)

    def heads(self, _: dict[str, str]) -> dict[str, Any]:
        said = {
            origin: {"epoch": 1, "seq": runs[-1].head.seq, "chain": runs[-1].head.chain.hex()}
            for origin, runs in self.runs.items()
        }
        own = self.runs.get("loc2")
        return {"heads": said, "head": own[-1].head.to_json() if own else None}

    def heartbeat(self, values: dict[str, str]) -> dict[str, Any]:
        beat = {
            "digest": "d",
            "digest_heads": {},
            "clock": now_us() + 2_000_000,
            "capabilities": {},
        }
        return {**self.heads(values), **beat}

    def digest(self, _: dict[str, str]) -> dict[str, Any]:
        return wire.buckets_to_json({"loc2": [1, 5]}, bytes(BUCKETS_BYTES))

    def events(self, values: dict[str, str]) -> dict[str, Any]:
        for run in self.runs.get(values["origin"], []):
            if run.items[0].seq - 1 == int(values["after"]):
                page = Page(run.origin, 1, int(values["after"]), run.before or b"", run.items,
                            run.head)  # fmt: skip
                return wire.page_to_json(page)
        return {"head": None}


@pytest.fixture
def runs(databases):
    return {"loc2": three_people_of(databases)}


@pytest.fixture
def fake(runs, monkeypatch) -> FakePeer:
    fake = FakePeer(runs)
    client = httpx.Client

    def faked(**arguments: Any) -> httpx.Client:
        return client(**{**arguments, "transport": httpx.MockTransport(fake)})

    monkeypatch.setattr("consumers.pull.httpx.Client", faked)
    return fake


def new_contact(network: Network) -> Contact:
    return Contact(Peer("loc2", PEERS["loc2"]["url"], now_us), network)


def noted() -> PeerContact:
    return PeerContact.objects.get(location="loc2")


def test_heartbeat_shows_a_higher_number_and_it_is_pulled(fake, network):
    one = new_contact(network)
    one.step()
    assert streams.applied_seq("loc2", 1) == 5
    assert fake.asked == ["heartbeat", "events"]
    assert noted().heads["loc2"]["seq"] == 5
    assert 1500 < (noted().clock_offset_ms or 0) < 2500
    assert (noted().digest, noted().last_error) == ("d", "")
    one.step()
    assert fake.asked[2:] == ["heads"]
    one.close()


@pytest.mark.parametrize("kafka_delivers", [False, True])
def test_trap_13_lost_tail_is_seen_though_nothing_comes_after_it(
    fake, network, has_kafka, monkeypatch, applier, runs, kafka_delivers
):
    """Kafka brought the first two, and goes on delivering nothing."""
    monkeypatch.setattr(contact, "GRACE_SECONDS", 0)
    has_kafka += [True] * kafka_delivers
    (run,) = runs["loc2"]
    applier.apply(signed("loc2", run.items[:2]))
    tail = signed("loc2", run.items[2:], run.items[1].chain, after=2)
    fake.runs = {"loc2": [tail]}
    one = new_contact(network)
    one.step()
    assert streams.applied_seq("loc2", 1) == 5
    assert fake.asked == ["heartbeat", "events"]
    one.close()


def test_trap_33_new_location_takes_a_stream_that_grows_meanwhile(databases, fake, network):
    """Each page it asks for takes as long as the origin needs for the next fifty events."""

    def write(pen: Elsewhere) -> None:
        born = {"type": {"value": "PERSON"}, "surname": {"value": "Miller"}}
        commands.record_new([(person(n), born) for n in range(50)], pen.author())
        for phone in range(7):
            number_all("loc2", SEEDS["loc2"])
            said = {"phone": {"value": str(phone)}}
            drafts = [
                Draft(person(n), "customers.details_changed", said, ENTITY) for n in range(50)
            ]
            recorder.record(drafts, pen.author())

    with mock.patch.object(streams, "PAGE", 50):
        stream = stream_of(databases, "loc2", write)
    shown = fake.runs["loc2"] = stream[:1]

    def grows(route: str, answer: Any) -> Any:
        shown.extend(stream[len(shown) : len(shown) + 1])
        return answer

    fake.spoil = grows
    one, steps = new_contact(network), 0
    while streams.applied_seq("loc2", 1) < 400:
        assert steps < 8
        one._heartbeat_at = 0  # five seconds later
        one.step()
        Elsewhere("loc1", NOW + steps).create(1000 + steps, surname="Here meanwhile")
        steps += 1
    one.close()
    assert steps > 1, "it grew while it was taken"
    assert queries.get(person(49)).values["phone"] == "6"
    assert_replay_is_live()


def test_trap_44_line_that_works_in_one_way_only(runs, network, monkeypatch, settings):
    """loc2 reaches this location, which does not reach loc2; loc3 hears both."""
    fake = FakePeer(runs)
    settings.PEERS = {
        name: {**peer, "url": f"http://127.0.0.1:{port}"}
        for port, (name, peer) in enumerate(settings.PEERS.items(), start=2)
    }
    cut = [2]

    def ways(request: httpx.Request) -> httpx.Response:
        if request.url.port in cut:
            raise httpx.ConnectTimeout("cut")
        return fake(request)

    client = httpx.Client

    def faked(**arguments: Any) -> httpx.Client:
        return client(**{**arguments, "transport": httpx.MockTransport(ways)})

    monkeypatch.setattr("consumers.pull.httpx.Client", faked)
    two, three = (
        Contact(Peer(name, settings.PEERS[name]["url"], now_us), network)
        for name in ("loc2", "loc3")
    )
    two.step()
    assert streams.applied_seq("loc2", 1) == 0
    three.step()
    assert streams.applied_seq("loc2", 1) == 5, "by way of loc3"
    said = wire.said_from_json(fake.heartbeat({}))
    contacts.note("loc2", said, None)  # its own call comes in
    assert reachable() == {"loc2": False, "loc3": True}, "and hides nothing"
    cut.clear()
    two.step()
    assert reachable() == {"loc2": True, "loc3": True}
    two.close()
    three.close()


def reachable() -> dict[str, bool]:
    return {peer["location"]: peer["reachable"] for peer in sync_status()["peers"]}


def test_with_kafka_only_heartbeats_are_sent(fake, network, has_kafka, monkeypatch):
    monkeypatch.setattr(contact, "GRACE_SECONDS", 0)
    has_kafka.append(True)
    one = new_contact(network)
    one.step()
    one.step()
    assert fake.asked == ["heartbeat", "events"]
    one.poke()
    assert one.wake.is_set()
    one.step()
    assert fake.asked[2:] == ["heads"]


def test_missing_number_is_asked_for_no_sooner_of_a_peer_out_of_reach(fake, network, has_kafka):
    has_kafka.append(True)
    one = new_contact(network)
    network.answering["loc2"] = False
    one.poke()
    assert not one.wake.is_set()
    one.step()
    assert streams.applied_seq("loc2", 1) == 5


def test_with_kafka_own_events_are_followed_until_they_have_arrived(
    fake, network, has_kafka, monkeypatch
):
    monkeypatch.setattr(contact, "GRACE_SECONDS", 0)
    has_kafka.append(True)
    Elsewhere("loc1").create(50, surname="Own")
    number_all("loc1", streams.own_key())
    one = new_contact(network)
    one.step()
    one.step()
    assert fake.asked == ["heartbeat", "events", "heads"]
    value = streams.chain_at("loc1", 1, 1)
    assert value is not None
    said = {"epoch": 1, "seq": 1, "chain": value.hex()}
    fake.spoil = lambda route, answer: {**answer, "heads": {**answer["heads"], "loc1": said}}
    one.step()
    one.step()
    assert fake.asked[3:] == ["heads"]


def test_third_partys_stream_while_it_does_not_answer_itself(databases, network, monkeypatch):
    three = three_people_of(databases, "loc3")
    fake = FakePeer({"loc3": three})
    client = httpx.Client
    monkeypatch.setattr(
        "consumers.pull.httpx.Client",
        lambda **a: client(**{**a, "transport": httpx.MockTransport(fake)}),
    )
    network.answering["loc3"] = True
    one = new_contact(network)
    one.step()
    assert streams.applied_seq("loc3", 1) == 0
    network.answering["loc3"] = False
    one.step()
    assert streams.applied_seq("loc3", 1) == 5


def failing(route: str, answer: Any) -> Any:
    raise httpx.ConnectError("refused, with an address in it")


BAD = {
    "away": failing,
    "refuses": lambda route, answer: httpx.Response(403, json={}),
    "redirects": lambda route, answer: httpx.Response(302, headers={"Location": "http://else/"}),
    "no json": lambda route, answer: httpx.Response(200, text="<html>"),
    "a list": lambda route, answer: [1],
    "no heads": lambda route, answer: {},
    "strange heads": lambda route, answer: {**answer, "heads": {"loc2": {"epoch": 1}}},
    "strange head": lambda route, answer: {**answer, "head": {"origin": 5}},
    "strange clock": lambda route, answer: {**answer, "clock": "noon"},
    "strange digest": lambda route, answer: {**answer, "digest_heads": {"loc2": ["x"]}},
    "long digest": lambda route, answer: {**answer, "digest": "d" * 100},
}


@pytest.mark.parametrize("how", BAD)
def test_bad_answer_is_a_failure_and_a_good_one_heals_it(fake, network, how):
    one = new_contact(network)
    fake.spoil = BAD[how]
    one.step()
    one.step()
    assert fake.asked == ["heartbeat", "heartbeat"]
    assert noted().last_error
    assert "address" not in noted().last_error
    assert streams.applied_seq("loc2", 1) == 0
    fake.spoil = lambda route, answer: answer
    one.step()
    assert noted().last_error == ""
    assert streams.applied_seq("loc2", 1) == 5


BAD_PAGES = {
    "empty": lambda page: {"head": None},
    "other origin": lambda page: {**page, "head": {**page["head"], "origin": "loc3"}},
    "no events": lambda page: {**page, "events": []},
    "no base64": lambda page: {**page, "events": [{**page["events"][0], "raw": "?"}]},
    "no seq": lambda page: {**page, "events": [{}]},
    "gap": lambda page: {**page, "events": page["events"][1:]},
    "forged": lambda page: {**page, "head": {**page["head"], "signature": "00" * 64}},
}


@pytest.mark.parametrize("how", BAD_PAGES)
def test_bad_page_applies_nothing(fake, network, how):
    one = new_contact(network)
    spoil = BAD_PAGES[how]
    fake.spoil = lambda route, answer: spoil(answer) if route == "events" else answer
    one.step()
    assert streams.applied_seq("loc2", 1) == 0
    fake.spoil = lambda route, answer: answer
    one.step()
    assert streams.applied_seq("loc2", 1) == 5


def test_buckets_are_asked_for_and_checked(fake):
    peer = Peer("loc2", PEERS["loc2"]["url"], now_us)
    assert peer.buckets() == ({"loc2": [1, 5]}, bytes(BUCKETS_BYTES))
    fake.spoil = lambda route, answer: {**answer, "buckets": answer["buckets"][4:]}
    with pytest.raises(PeerFailed):
        peer.buckets()
    peer.close()


def test_answer_too_large_is_not_read(fake, network, monkeypatch):
    monkeypatch.setattr("consumers.pull.MOST_BYTES", 10)
    with pytest.raises(PeerFailed):
        Peer("loc2", PEERS["loc2"]["url"], now_us).positions()


def test_head_that_contradicts_is_heard(databases, fake, network, applier, runs):
    applier.apply(runs["loc2"][0])
    other = stream_of(databases, "loc2", lambda pen: pen.create(9, surname="Other"))
    applier._positions.clear()
    applier.apply(runs["loc2"][0])
    fake.runs = {"loc2": other}
    new_contact(network).step()
    assert streams.stopped() == {"loc2": 1}


@pytest.fixture
def consumer(fake, settings):
    settings.PEERS = {"loc2": settings.PEERS["loc2"]}
    return Consumer(threading.Event())


def test_process_applies_beats_takes_the_digest_and_ends(fake, consumer, monkeypatch):
    monkeypatch.setattr(runner, "DIGEST_LOOK_SECONDS", 0.1)
    thread = threading.Thread(target=consumer.run)
    thread.start()
    end = time.monotonic() + 10
    while time.monotonic() < end and not PeerContact.objects.filter(
        location="loc1", digest_heads={"loc2": [1, 5]}
    ):
        time.sleep(0.05)
    consumer._stop.set()
    thread.join(10)
    assert not thread.is_alive()
    assert streams.applied_seq("loc2", 1) == 5
    assert PeerContact.objects.get(location="loc1").digest_heads == {"loc2": [1, 5]}


def test_pulled_page_that_is_not_verified_is_a_dead_letter(consumer, runs):
    (run,) = runs["loc2"]
    raw = run.items[1].raw.replace(b"1", b"2", 1)
    items = [run.items[0], replace(run.items[1], raw=raw), *run.items[2:]]
    delivery = Delivery(replace(run, items=items))
    consumer._apply(delivery)
    assert delivery.done.is_set()
    letter = DeadLetter.objects.get()
    assert (letter.source, letter.seq, letter.reason) == ("pull", 2, "page_not_verified")
    consumer._apply(Delivery(replace(run, items=items)))
    assert DeadLetter.objects.count() == 1  # the same bytes at the same place


def test_who_delivers_waits_for_room_and_gives_up_when_stopped(runs):
    stop = threading.Event()
    deliveries = Deliveries(stop)
    (run,) = runs["loc2"]
    threads = [threading.Thread(target=deliveries.deliver, args=[run]) for _ in range(6)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    assert all(thread.is_alive() for thread in threads)
    stop.set()
    for thread in threads:
        thread.join(2)
    assert not any(thread.is_alive() for thread in threads)


def test_heartbeat_of_this_location_is_readable_by_another(fake):
    from consumers import heartbeat

    Elsewhere("loc1").create(1, surname="Own")
    number_all("loc1", streams.own_key())
    document = json.loads(json.dumps(heartbeat.answer(now_us())))
    said = wire.said_from_json(document)
    assert said.heads["loc1"]["seq"] == 1
    (head,) = wire.signed_heads(document)
    assert head is not None
    assert head.seq == 1
