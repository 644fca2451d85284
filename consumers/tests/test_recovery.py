"""A location that knows less of its own stream than its peers do."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client

from consumers import wire
from consumers.contact import Contact, Network
from consumers.tests.origins import Elsewhere, number_all, person
from consumers.verify import Run
from customers import queries
from customers.tests.browsing import sign_in
from events import contacts, recovery, streams
from events.contacts import Said
from events.digest import comparable
from events.errors import Recovering
from events.models import EventNumber, Outbox
from events.relay import Relay
from events.sequencer import number_pass
from events.status import sync_status
from events.streams import Position

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.feature("R08")]

NOTHING = {"epoch": 1, "seq": 0, "chain": "00"}


class KnowingPeer:
    """A peer that has pages of this location's own stream."""

    def __init__(self, location: str, runs: list[Run]) -> None:
        self.location, self.runs = location, runs
        self.said: dict[str, Any] = NOTHING

    def exchange(self) -> tuple[dict[str, Any], int]:
        return {**self.positions(), "digest": "", "digest_heads": {}, "clock": 0,
                "capabilities": {}}, 0  # fmt: skip

    def positions(self) -> dict[str, Any]:
        return {"heads": {"loc1": self.said}, "head": None}

    def page(self, origin: str, epoch: int, after: int) -> Run | None:
        assert origin == "loc1"
        return next((r for r in self.runs if r.epoch == epoch and r.head.seq > after), None)

    def close(self) -> None:
        pass


@pytest.fixture
def lost(databases) -> list[Run]:
    """Two writes of this location that only its peers still have."""
    pen = Elsewhere("loc1")
    pen.create(1, surname="Lost")
    pen.change(1, phone="0700112233")
    number_all("loc1", streams.own_key())
    page = streams.page("loc1", 1, 0)
    assert page is not None
    databases.renew()
    return [Run("loc1", 1, page.items, page.head, "pull", before=page.before)]


def step(peer: KnowingPeer, network: Network) -> None:
    Contact(peer, network).step()  # type: ignore[arg-type]


def test_own_writes_come_back_and_each_peer_is_asked_first(lost, network):
    two, three = KnowingPeer("loc2", lost), KnowingPeer("loc3", [])
    two.said = {"epoch": 1, "seq": 2, "chain": lost[0].head.chain.hex()}
    step(two, network)
    assert queries.get(person(1)).values == {"surname": "Lost", "phone": "0700112233"}
    assert recovery.is_recovering(), "loc3 may know more"
    assert sync_status()["is_recovering"]
    with pytest.raises(Recovering):
        Elsewhere("loc1").create(2, surname="Refused")
    step(three, network)
    assert not recovery.is_recovering()
    Elsewhere("loc1", 2 * 10**15).create(2, surname="After")
    number_all("loc1", streams.own_key())
    own = streams.positions()["loc1"]
    assert (own.epoch, own.seq) == (2, 1)
    assert [(one.epoch, one.seq) for one in own.older] == [(1, 2)]


def test_numbers_that_this_location_did_not_sign_are_not_believed(lost, network):
    two = KnowingPeer("loc2", [])
    two.said = {"epoch": 1, "seq": 2, "chain": "00"}
    step(two, network)
    assert not recovery.is_recovering()
    assert network.answering["loc2"], "what it says of others is still asked for"
    recovery.begin()
    step(two, network)
    assert network.gave_back == set(), "it may yet show them"


def test_an_epoch_that_lost_nothing_is_still_told(databases):
    pen = Elsewhere("loc1")
    pen.create(1, surname="First")
    pen.create(2, surname="Second")
    number_all("loc1", streams.own_key())
    heads = {"loc1": {"epoch": 1, "seq": 1, "chain": "00"}}
    contacts.note("loc2", Said(heads, "", {}, 0), 0)
    recovery.begin()
    recovery.finish(streams.own_key())
    own = streams.positions()["loc1"]
    assert (own.epoch, own.seq, own.older[0].epoch, own.older[0].seq) == (2, 0, 1, 2)
    assert comparable({"loc1": own}) == {"loc1": [1, 2]}
    pen.create(3, surname="Third")
    number_all("loc1", streams.own_key())
    said = sync_status()
    assert said["unreplicated"] == 2, "the second and the third are only here"
    assert said["oldest_unreplicated_seconds"] is not None


def test_the_relay_goes_on_behind_an_epoch_without_writes(databases, monkeypatch):
    sent: list[str] = []

    class Sender:
        def __init__(self, bootstrap: str) -> None: ...

        def send(self, topic: str, records: list[Any], stop: object) -> int:
            sent.extend(topic for _ in records)
            return len(records)

        def close(self) -> None: ...

    monkeypatch.setattr("events.relay.Sender", Sender)
    relay = Relay("loc1", "127.0.0.1:1", threading.Event())
    pen = Elsewhere("loc1")
    for _ in range(2):
        pen.create(len(sent), surname="Written")
        number_all("loc1", streams.own_key())
        assert relay.step()
        for _ in range(2):
            recovery.begin()
            recovery.finish(streams.own_key())
        assert not relay.step()
    assert len(sent) == 4, "two events, two heads"


def test_late_tail_of_an_old_epoch_is_taken_without_a_pause(lost, network):
    recovery.begin()
    assert recovery.finish(streams.own_key())
    two = KnowingPeer("loc2", lost)
    two.said = {"epoch": 2, "seq": 0, "chain": "00",
                "older": [{"epoch": 1, "seq": 2, "chain": "00"}]}  # fmt: skip
    step(two, network)
    assert queries.get(person(1)).values["surname"] == "Lost"
    assert not recovery.is_recovering()
    assert streams.positions()["loc1"].epoch == 2


def test_nothing_is_numbered_meanwhile_nor_twice_afterwards(db):
    Elsewhere("loc1").create(1, surname="Lost")
    entry = Outbox.objects.get()
    recovery.begin()
    with transaction.atomic(), connection.cursor() as cursor:
        assert number_pass(cursor, "loc1", streams.own_key()) == 0
    recovery.finish(streams.own_key())
    with transaction.atomic(), connection.cursor() as cursor:
        assert number_pass(cursor, "loc1", streams.own_key()) == 1
    Outbox.objects.create(tx=entry.tx)  # as in a backup from before it had a number
    recovery.begin()
    assert recovery.finish(streams.own_key())
    assert not Outbox.objects.exists()
    assert EventNumber.objects.count() == 1
    assert not recovery.finish(streams.own_key())


def test_pages_say_why_nothing_is_saved(client: Client):
    sign_in(client, "agent")
    recovery.begin()
    form = {"uid": "5b8b4b3e-3b0a-4b6e-9a58-1f5b3c2d1e0f", "entity_type": "PERSON",
            "surname": "Refused"}  # fmt: skip
    answer = client.post("/customers/new", form)
    assert answer.status_code == 503
    assert "Restored from a backup" in answer.content.decode()
    assert not Outbox.objects.exists()


def test_former_epochs_travel_and_are_compared():
    position = Position(2, 3, b"\x02", (Position(1, 9, b"\x01"),))
    told = wire.heads_from_json({"loc2": position.to_json()})
    assert streams.epochs(told["loc2"]) == {1: 9, 2: 3}
    assert comparable({"loc2": position}) == {"loc2": [1, 9, 2, 3]}
    with pytest.raises(ValueError, match="epochs"):
        wire.heads_from_json({"loc2": {**NOTHING, "older": [NOTHING] * (wire.MOST_OLDER + 1)}})
    with pytest.raises(ValueError, match="number"):
        wire.heads_from_json({"loc2": {**NOTHING, "older": [{**NOTHING, "seq": -1}]}})
