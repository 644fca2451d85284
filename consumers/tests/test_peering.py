"""Peers come and go while the consumer runs."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from django.test import Client

from consumers import kafka_feed
from consumers.contact import Contact, Network
from consumers.errors import NotVerified
from consumers.kafka_feed import KafkaFeed
from consumers.peering import Peering
from consumers.pull import Peer
from consumers.tests.origins import NOW, PEERS, SEEDS, Elsewhere, number_all, three_people_of
from consumers.tests.test_contact import FakePeer, now_us
from consumers.tests.test_peer_routes import ask, signed_headers
from consumers.tests.test_recovery import KnowingPeer
from consumers.verify import Run
from events import (
    chain,
    contacts,
    location_keys,
    locations,
    membership,
    recorder,
    recovery,
    streams,
    vouching,
)
from events.contacts import Said
from events.drafting import Author
from events.location_keys import Key
from events.records import topic_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.feature("S07")]

HERE = Author(None, "loc1", NOW)


@pytest.fixture(autouse=True)
def public_url(settings) -> None:
    settings.PUBLIC_URL = "https://one.example"


def public(seed: bytes) -> str:
    return base64.b64encode(chain.public_key(seed)).decode()


def add(name: str, url: str = "https://four.example") -> None:
    seed = SEEDS.get(name, b"4" * 32)
    membership.add(name, url, public(seed), HERE)


def wait_for(is_so: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    """The hosts that were asked; none of them has anything."""
    hosts: list[str] = []
    client = httpx.Client

    def answer(request: httpx.Request) -> httpx.Response:
        hosts.append(request.url.host)
        return httpx.Response(403)

    def faked(**arguments: Any) -> httpx.Client:
        return client(**{**arguments, "transport": httpx.MockTransport(answer)})

    monkeypatch.setattr("consumers.pull.httpx.Client", faked)
    return hosts


@pytest.fixture
def peering_of(network: Network) -> Iterator[Peering]:
    peering = Peering(network, now_us)
    yield peering
    peering.close()


def test_who_is_added_is_asked_and_who_is_retired_is_not(asked, peering_of, network):
    peering_of.step()
    assert peering_of.contacts.keys() == {"loc2", "loc3"}
    add("loc4")
    peering_of.step()
    assert peering_of.contacts.keys() == {"loc2", "loc3", "loc4"}
    wait_for(lambda: "four.example" in asked)
    wait_for(lambda: network.answering.get("loc4") is False)
    thread = peering_of._threads["loc4"]
    membership.retire("loc4", HERE)
    peering_of.step()
    thread.join(5)
    assert not thread.is_alive()
    assert peering_of.contacts.keys() == {"loc2", "loc3"}
    assert "loc4" not in network.answering
    peering_of.poke("loc4")  # nobody is there to be asked


def test_who_moves_is_asked_where_it_answers_now(asked, peering_of):
    add("loc4")
    peering_of.step()
    wait_for(lambda: "four.example" in asked)
    add("loc4", "https://moved.example")
    peering_of.step()
    wait_for(lambda: "moved.example" in asked)
    assert peering_of.contacts.keys() == {"loc2", "loc3", "loc4"}


def test_who_is_left_alone_recovers_by_itself(asked, peering_of):
    recovery.begin()
    peering_of.step()
    assert recovery.is_recovering()
    with_others = locations.peers()
    recovery.finish(streams.own_key())
    for name in with_others:
        membership.retire(name, HERE)
    recovery.begin()
    peering_of.step()
    assert not recovery.is_recovering()


@pytest.mark.feature("S10")
def test_requests_of_who_is_retired_or_not_registered_are_refused(client: Client):
    assert ask(client, signed_headers()).status_code == 200
    membership.retire("loc2", HERE)
    assert ask(client, signed_headers()).status_code == 403
    four = signed_headers(b"4" * 32, sender="loc4")
    assert ask(client, four).status_code == 403
    add("loc4")
    assert ask(client, four).status_code == 200
    own = signed_headers(streams.own_key(), sender="loc1")
    assert ask(client, own).status_code == 403, "nobody else signs as this location"


@pytest.mark.feature("S10")
def test_requests_with_either_key_are_answered_until_one_ends(client: Client):
    add("loc2", "https://two.example")
    membership.add("loc2", "https://two.example", public(b"n" * 32), HERE)
    assert ask(client, signed_headers()).status_code == 200
    assert ask(client, signed_headers(b"n" * 32)).status_code == 200
    old = Key(chain.public_key(SEEDS["loc2"])).fingerprint
    groups = {locations.END + old: {"value": [[1, 0]]}}
    recorder.record([membership.draft("loc2", locations.KEY_ENDED, groups)], HERE)
    assert ask(client, signed_headers()).status_code == 403
    assert ask(client, signed_headers(b"n" * 32)).status_code == 200


@pytest.mark.feature("R08")
def test_recovery_does_not_wait_for_who_is_retired(databases, network):
    pen = Elsewhere("loc1")
    pen.create(1, surname="Lost")
    number_all("loc1", streams.own_key())
    page = streams.page("loc1", 1, 0)
    assert page is not None
    databases.renew()
    membership.retire("loc3", Author(None, "loc2", NOW))
    two = KnowingPeer("loc2", [Run("loc1", 1, page.items, page.head, "pull", before=page.before)])
    two.said = {"epoch": 1, "seq": 1, "chain": page.head.chain.hex()}
    Contact(two, network).step()  # type: ignore[arg-type]
    assert not recovery.is_recovering()
    assert streams.positions()["loc1"].epoch == 2


def test_a_peer_brings_the_streams_of_whom_nothing_is_known(
    databases, network, settings, monkeypatch
):
    """A new location knows loc2 alone; loc2 says who loc3 is, and serves its stream."""
    three = three_people_of(databases, "loc3")
    settings.LOCATION_ID, own = "loc2", settings.LOCATION_KEY
    settings.LOCATION_KEY = base64.b64encode(SEEDS["loc2"]).decode()
    settings.PEERS = {"loc3": PEERS["loc3"]}
    statement = vouching.statement(streams.own_key())
    settings.LOCATION_ID, settings.LOCATION_KEY = "loc1", own
    settings.PEERS = {"loc2": PEERS["loc2"]}

    fake, client = FakePeer({"loc3": three}), httpx.Client
    monkeypatch.setattr(
        "consumers.pull.httpx.Client",
        lambda **a: client(**{**a, "transport": httpx.MockTransport(fake)}),
    )
    one = Contact(Peer("loc2", PEERS["loc2"]["url"], now_us), network)
    one.step()
    assert streams.applied_seq("loc3", 1) == 0, "loc2 has not said who that is"
    fake.spoil = lambda route, answer: (
        {**answer, "locations": statement} if route == "heartbeat" else answer
    )
    one._heartbeat_at = 0.0
    one.step()
    assert streams.applied_seq("loc3", 1) == 5
    assert "loc3" not in locations.peers()


@pytest.mark.feature("S10")
def test_what_a_key_signed_that_is_not_known_yet_waits_and_is_no_fork(databases, applier):
    """loc3 changed its key while this location was away; loc2 has heard of it."""
    *_, run = three_people_of(databases, "loc3")
    new, old = b"n" * 32, SEEDS["loc3"]
    signed = replace(run, head=chain.sign(run.head, new))
    told = Key(chain.public_key(new), proof=location_keys.proof("loc3", chain.public_key(new), old))
    for said in ({}, {"loc3": [replace(told, proof=b"").to_json()]}):
        hear_from_two(said)
        with pytest.raises(NotVerified):
            applier.apply(signed)
    assert (streams.applied_seq("loc3", 1), streams.stopped()) == (0, {})
    hear_from_two({"loc3": [told.to_json()]})
    applier.apply(signed)
    assert streams.applied_seq("loc3", 1) == run.head.seq


def hear_from_two(said: dict[str, Any]) -> None:
    signature = chain.signature_of(vouching._signed_bytes("loc2", said), SEEDS["loc2"])
    document = {"keys": said, "signature": signature.hex()}
    contacts.note("loc2", Said({}, "", {}, 0, {}, document), 0)


@pytest.mark.feature("S10")
def test_a_retired_locations_stream_is_pulled_from_others(databases, network, monkeypatch):
    three = three_people_of(databases, "loc3")
    membership.retire("loc3", HERE)
    fake, client = FakePeer({"loc3": three}), httpx.Client
    monkeypatch.setattr(
        "consumers.pull.httpx.Client",
        lambda **a: client(**{**a, "transport": httpx.MockTransport(fake)}),
    )
    Contact(Peer("loc2", PEERS["loc2"]["url"], now_us), network).step()
    assert streams.applied_seq("loc3", 1) == 5


class Topics:
    """A reader that only says which topics it was told to read."""

    is_connected = True
    opened: list[set[str]] = []

    def __init__(self, bootstrap: str, offsets: dict[str, int]) -> None:
        self.opened.append(set(offsets))

    def read(self, most: int, timeout: float) -> list[Any]:
        return []

    def close(self) -> None: ...


def test_topics_are_those_of_the_peers_there_are(applier, monkeypatch):
    monkeypatch.setattr(kafka_feed, "Reader", Topics)
    monkeypatch.setattr(kafka_feed, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(Topics, "opened", [])
    feed = KafkaFeed("nowhere", applier, lambda _: None)
    feed.step()
    feed.step()
    add("loc4")
    feed.step()
    membership.retire("loc2", HERE)
    feed.step()
    names = [{"loc2", "loc3"}, {"loc2", "loc3", "loc4"}, {"loc3", "loc4"}]
    assert Topics.opened == [{topic_of(name) for name in each} for each in names]
