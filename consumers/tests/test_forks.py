"""One number given to two events: which branch stays, and what becomes of the other's events."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import ProgrammingError, connection, transaction

from consumers import heartbeat, wire
from consumers.apply import Applier
from consumers.contact import Contact
from consumers.tests.origins import (
    NOW,
    SEEDS,
    Elsewhere,
    number_all,
    pages,
    person,
)
from consumers.verify import Run
from customers import queries
from events import chain, forks, recovery, streams
from events.digest import take
from events.locations import is_signed
from events.models import DeadLetter, EventNumber, Outbox
from events.models import Event as StoredEvent
from events.recorder import recording
from events.status import sync_status
from tests.databases import TestDatabases

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.feature("S03"),
    pytest.mark.feature("R08"),
]

Write = Callable[[Elsewhere], object]


@dataclass(frozen=True)
class Branches:
    """One epoch as two locations have it: shared at first, then longer or shorter."""

    shared: Run
    longer: Run
    shorter: Run


def seed_of(origin: str) -> bytes:
    return SEEDS.get(origin) or streams.own_key()


def whole(origin: str) -> Run:
    (run,) = pages(origin)
    return run


def two_branches(databases: TestDatabases, applier: Applier, origin: str) -> Branches:
    """Write as ``origin`` did before and after a restore that it did not notice."""
    pen = Elsewhere(origin)
    pen.create(1, surname="Shared")
    pen.change(1, phone="0700112233")
    number_all(origin, seed_of(origin))
    shared = whole(origin)
    for number in (2, 3, 4):
        pen.create(number, surname=f"Longer {number}")
    number_all(origin, seed_of(origin))
    longer = whole(origin)
    databases.renew()
    stand_at(applier, shared)
    pen = Elsewhere(origin, NOW + 10**9)
    pen.create(5, surname="Shorter")
    pen.change(1, phone="0700445566")
    number_all(origin, seed_of(origin))
    shorter = whole(origin)
    assert longer.head.seq == shorter.head.seq + 1
    databases.renew()
    applier._positions.clear()
    return Branches(shared, longer, shorter)


def stand_at(applier: Applier, run: Run) -> None:
    """Have a stream up to the end of a run, as whoever writes it has."""
    if run.origin == "loc1":
        recovery.follow(1)
        recovery.begin()
    applier.apply(run)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM events_recovery")
        cursor.execute("DELETE FROM events_received")
    applier._positions.clear()


def next_epoch(origin: str, write: Write, databases: TestDatabases) -> Run:
    """Return the first page of an origin's epoch 2."""
    databases.renew()
    with connection.cursor() as cursor:
        empty = chain.Head(origin, 2, 0, chain.start(origin, 2))
        streams.keep_head(cursor, chain.sign(empty, seed_of(origin)))
    write(Elsewhere(origin, NOW + 10**10))
    number_all(origin, seed_of(origin))
    page = streams.page(origin, 2, 0)
    assert page is not None
    databases.renew()
    return Run(origin, 2, page.items, page.head, "pull", before=page.before)


def numbers(origin: str) -> list[tuple[int, int]]:
    found = EventNumber.objects.filter(origin=origin).order_by("epoch", "seq")
    return list(found.values_list("epoch", "seq"))


def chain_of(origin: str, run: Run) -> bool:
    return streams.chain_at(origin, run.epoch, run.head.seq) == run.head.chain


def test_a_peer_stops_until_the_origin_has_begun_another_epoch(databases, applier):
    both = two_branches(databases, applier, "loc2")
    second = next_epoch("loc2", lambda pen: pen.create(6, surname="After"), databases)
    applier.apply(both.shorter)
    assert applier.apply(both.longer) == 0
    assert streams.stopped() == {"loc2": 1}
    assert applier.apply(second) == 1
    assert streams.stopped() == {}
    assert applier.apply(both.longer) == 3
    assert numbers("loc2") == [(1, 1), (1, 2), (1, 3), (1, 4), (1, 5), (2, 1)]
    assert chain_of("loc2", both.longer)
    for number, surname in ((4, "Longer 4"), (5, "Shorter"), (6, "After")):
        assert queries.get(person(number)).values["surname"] == surname
    assert queries.get(person(1)).values["phone"] == "0700445566", "no event is lost"
    assert applier.apply(both.longer) == 0
    assert len(numbers("loc2")) == 6


def test_the_shorter_branch_takes_nobody_back(databases, applier):
    both = two_branches(databases, applier, "loc2")
    second = next_epoch("loc2", lambda pen: pen.create(6, surname="After"), databases)
    applier.apply(both.longer)
    applier.apply(second)
    before = take().value, numbers("loc2")
    assert applier.apply(both.shorter) == 0
    applier.hear(both.shorter.head)
    assert (take().value, numbers("loc2")) == before
    assert streams.stopped() == {}
    assert chain_of("loc2", both.longer)


class BranchPeer:
    """A peer whose copy of this location's stream is a branch of it."""

    def __init__(self, location: str, run: Run) -> None:
        self.location, self.run = location, run

    def positions(self) -> dict[str, Any]:
        head = self.run.head
        said = {"epoch": head.epoch, "seq": head.seq, "chain": head.chain.hex()}
        return {"heads": {"loc1": said}, "head": None}

    def exchange(self) -> tuple[dict[str, Any], int]:
        beat = {"digest": "", "digest_heads": {}, "clock": 0, "capabilities": {}}
        return {**self.positions(), **beat}, 0

    def page(self, origin: str, epoch: int, after: int) -> Run | None:
        if (origin, epoch) != ("loc1", self.run.head.epoch) or after >= self.run.head.seq:
            return None
        before = self.run.items[after - 1].chain if after else chain.start(origin, epoch)
        return Run(origin, epoch, self.run.items[after:], self.run.head, "pull", before=before)

    def close(self) -> None:
        pass


OWN = {"the longer": ("longer", "shorter"), "the shorter": ("shorter", "longer")}


@pytest.mark.parametrize("has", OWN)
def test_who_wrote_before_it_noticed_numbers_the_other_branch_anew(
    databases, applier, network, has
):
    both = two_branches(databases, applier, "loc1")
    own, theirs = (getattr(both, name) for name in OWN[has])
    stand_at(applier, own)
    said = [BranchPeer("loc2", theirs), BranchPeer("loc3", own)]
    for peer in said:
        Contact(peer, network).step()  # type: ignore[arg-type]
    assert not recovery.is_recovering()
    number_all("loc1", streams.own_key())
    position = streams.positions()["loc1"]
    assert position.epoch == 2
    assert chain_of("loc1", both.longer), "the longer keeps its numbers"
    beyond = len(both.shorter.items) - len(both.shared.items)
    assert numbers("loc1") == [(1, n) for n in range(1, 6)] + [(2, n + 1) for n in range(beyond)]
    ids = EventNumber.objects.values_list("event_id", flat=True)
    assert len(set(ids)) == len(ids) == StoredEvent.objects.filter(origin="loc1").count()
    assert not Outbox.objects.exists()
    for number, surname in ((4, "Longer 4"), (5, "Shorter")):
        assert queries.get(person(number)).values["surname"] == surname
    assert not DeadLetter.objects.exists()
    assert sync_status()["epoch"] == 2


def test_it_is_read_only_until_every_peer_was_asked(databases, applier, network):
    both = two_branches(databases, applier, "loc1")
    stand_at(applier, both.shorter)
    Contact(BranchPeer("loc2", both.longer), network).step()  # type: ignore[arg-type]
    assert recovery.is_recovering()
    assert streams.stopped() == {}
    assert sync_status()["state"] == "recovering"


def test_what_waits_for_a_number_gets_one_alone(databases, applier, network):
    both = two_branches(databases, applier, "loc1")
    stand_at(applier, both.shorter)
    Elsewhere("loc1", NOW + 10**11).create(7, surname="Waiting")
    for name, run in (("loc2", both.longer), ("loc3", both.shorter)):
        Contact(BranchPeer(name, run), network).step()  # type: ignore[arg-type]
    number_all("loc1", streams.own_key())
    assert EventNumber.objects.filter(epoch=2).count() == 3
    ids = EventNumber.objects.values_list("event_id", flat=True)
    assert len(set(ids)) == len(ids)


class TellingPeer(BranchPeer):
    """A peer that stopped this location's stream, for a head of which nobody has the events."""

    def __init__(self, location: str, run: Run, fork: chain.Head) -> None:
        super().__init__(location, run)
        self.fork = fork

    def positions(self) -> dict[str, Any]:
        return {**super().positions(), "forks": [self.fork.to_json()]}


@pytest.mark.parametrize("has", OWN)
def test_who_is_told_what_it_signed_and_lost_begins_another_epoch(databases, applier, network, has):
    """Only Kafka had the other branch, and a peer read its head there."""
    both = two_branches(databases, applier, "loc1")
    own, lost = (getattr(both, name) for name in OWN[has])
    stand_at(applier, own)
    peers = TellingPeer("loc2", own, lost.head), BranchPeer("loc3", own)
    told = Contact(peers[0], network)  # type: ignore[arg-type]
    told.step()
    assert recovery.is_recovering()
    Contact(peers[1], network).step()  # type: ignore[arg-type]
    assert not recovery.is_recovering()
    (head,) = wire.signed_heads(heartbeat.positions())
    assert (head.epoch, head.seq) == (2, 0), "peers hear that they may go on before any write"
    assert is_signed(head)
    assert chain_of("loc1", own)
    told.step()
    assert not recovery.is_recovering(), "what was signed in a former epoch is settled"


def test_no_other_head_is_believed_to_be_lost(databases, applier, network):
    both = two_branches(databases, applier, "loc1")
    stand_at(applier, both.shorter)
    forged = chain.sign(both.longer.head, SEEDS["loc2"])
    for head in (forged, both.shared.head, both.shorter.head):
        Contact(TellingPeer("loc2", both.shorter, head), network).step()  # type: ignore[arg-type]
        assert not recovery.is_recovering()


def test_a_peer_tells_why_it_stopped_until_it_hears_of_another_epoch(databases, applier):
    both = two_branches(databases, applier, "loc2")
    applier.apply(both.longer)
    applier.hear(both.shorter.head)
    assert streams.stopped() == {"loc2": 1}
    assert wire.signed_heads(heartbeat.positions()) == [both.shorter.head]
    empty = chain.Head("loc2", 2, 0, chain.start("loc2", 2))
    applier.hear(chain.sign(empty, SEEDS["loc3"]))
    assert streams.stopped() == {"loc2": 1}
    applier.hear(chain.sign(empty, SEEDS["loc2"]))
    assert streams.stopped() == {}
    assert wire.signed_heads(heartbeat.positions()) == []


@pytest.mark.feature("S02")
def test_numbers_are_taken_back_in_no_other_way(databases, applier):
    both = two_branches(databases, applier, "loc2")
    applier.apply(both.longer)
    position = applier.position("loc2", 1)
    forget = "SELECT count(*) FROM sins_forget_numbers('loc2', 1, 2)"
    with pytest.raises(ProgrammingError, match="not given up"):
        forks.give_up("loc2", position, 2)
    with recording(), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("INSERT INTO events_recovery (id, began_at) VALUES (1, now())")
    with pytest.raises(ProgrammingError, match="not given up"), connection.cursor() as cursor:
        cursor.execute(forget)
    assert len(numbers("loc2")) == 5


def test_a_pass_that_began_before_is_waited_for(databases):
    """Recovery begins only when no number can be given any more."""
    reading, thread = connection.copy(), threading.Thread(target=begin)
    with contextlib.closing(reading), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM events_outbox")
        thread.start()
        with reading.cursor() as other:
            wait_until(lambda: one(other, "SELECT count(*) FROM pg_locks WHERE NOT granted"))
            assert not one(other, "SELECT count(*) FROM events_recovery")
    thread.join()
    assert recovery.is_recovering()


def begin() -> None:
    recovery.begin()
    connection.close()


def one(cursor: Any, query: str) -> int:
    cursor.execute(query)
    return int(cursor.fetchone()[0])


def wait_until(is_so: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)
