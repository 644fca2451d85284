"""A key that ended was stolen: what its thief signs for old numbers stops and changes nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import replace

import pytest

from consumers.apply import Applier
from consumers.contact import Contact
from consumers.errors import NotVerified
from consumers.kafka_feed import KafkaFeed
from consumers.tests.origins import NOW, SEEDS, person
from consumers.tests.test_forks import (
    Branches,
    BranchPeer,
    TellingPeer,
    chain_of,
    next_epoch,
    numbers,
    stand_at,
    two_branches,
)
from consumers.verify import Run
from customers import queries
from events import chain, forks, locations, membership, recorder, records, recovery, streams
from events.drafting import Author
from events.location_keys import Key
from events.locations import END, KEY_ENDED
from events.models import DeadLetter

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.feature("S10")]

HERE = Author(None, "loc1", NOW)
NEW = hashlib.sha256(b"the key after").digest()


def end_key(name: str, old: bytes, until: int, new: bytes = NEW) -> None:
    """Let the registry say that a location's key signed up to a number, and which one is next."""
    keys = membership.key_groups(Key(chain.public_key(seed)) for seed in (old, new))
    ended = {END + Key(chain.public_key(old)).fingerprint: {"value": [[1, until]]}}
    groups = {"location": {"value": name}, **keys, **ended}
    recorder.record([membership.draft(name, KEY_ENDED, groups)], HERE)


def with_key(run: Run, seed: bytes = NEW) -> Run:
    return replace(run, head=chain.sign(run.head, seed))


@pytest.fixture
def both(databases, applier) -> Branches:
    """The longer branch of loc2 is here; the shorter one its thief made up. Its key has ended."""
    found = two_branches(databases, applier, "loc2")
    applier.apply(found.longer)
    end_key("loc2", SEEDS["loc2"], found.longer.head.seq)
    return found


def test_a_head_that_an_ended_key_signed_contradicts_nothing(both, applier):
    assert locations.is_signed(both.shorter.head), "it is within what the key signed"
    applier.hear(both.shorter.head)
    assert streams.stopped() == {}
    applier.hear(both.longer.head)
    assert applier.apply(with_key(both.longer)) == 0
    assert not DeadLetter.objects.exists()


def test_a_branch_that_an_ended_key_signed_stops_nothing(both, applier):
    with pytest.raises(NotVerified):
        applier.apply(both.shorter)
    later = replace(both.shorter, items=both.shorter.items[3:], before=both.shorter.items[2].chain)
    applier.apply(later)
    assert streams.stopped() == {}
    assert chain_of("loc2", both.longer)


def test_nor_one_that_goes_on_from_other_events(databases, applier):
    both = two_branches(databases, applier, "loc2")
    applier.apply(both.shorter)
    end_key("loc2", SEEDS["loc2"], both.longer.head.seq)
    beyond = replace(both.longer, items=both.longer.items[4:], before=both.longer.items[3].chain)
    with pytest.raises(NotVerified):
        applier.apply(beyond)
    assert streams.stopped() == {}


class Topic:
    """A reader that brings what a thief sends to Kafka, once."""

    is_connected = True

    def __init__(self, sent: Sequence[records.Record]) -> None:
        self.sent = list(sent)

    def read(self, most: int, timeout: float) -> list[tuple[str, records.Record]]:
        found, self.sent = self.sent, []
        return [(records.topic_of("loc2"), record) for record in found]


def feed_of(applier: Applier, sent: Sequence[records.Record]) -> KafkaFeed:
    feed = KafkaFeed("nowhere", applier, lambda _: None)
    feed._follow_peers()
    feed._reader = Topic(sent)  # type: ignore[assignment]
    return feed


def records_of(run: Run) -> list[records.Record]:
    return [*(records.of_item(item, 1) for item in run.items), records.of_head(run.head)]


def test_kafka_brings_nothing_that_only_an_ended_key_signed(databases, applier):
    """Not to who is behind, either: a new location knows of the end before it has the stream."""
    both = two_branches(databases, applier, "loc2")
    end_key("loc2", SEEDS["loc2"], both.longer.head.seq)
    feed_of(applier, records_of(both.shorter)).step()
    assert numbers("loc2") == []
    feed_of(applier, records_of(with_key(both.longer))).step()
    assert chain_of("loc2", both.longer)
    feed_of(applier, records_of(both.shorter)).step()
    assert streams.stopped() == {}
    assert not DeadLetter.objects.exists()


def test_a_head_is_no_dead_letter_any_more_once_the_key_that_signed_it_is_known(databases, applier):
    """A new location hears of former keys only after Kafka has brought it what they signed."""
    both = two_branches(databases, applier, "loc2")
    forged = with_key(both.longer, b"nobody's" * 4)
    feed = feed_of(applier, [records.of_head(run.head) for run in (with_key(both.longer), forged)])
    feed.step()
    assert [each.reason for each in DeadLetter.objects.all()] == ["head not signed"] * 2
    end_key("loc2", SEEDS["loc2"], both.longer.head.seq)
    feed._look_at = 0.0
    feed.step()
    (left,) = DeadLetter.objects.all()
    assert records.read_head(records.Record(b"", bytes(left.raw))) == forged.head


def test_a_page_that_only_an_ended_key_signed_is_taken_from_a_peer(databases, applier):
    both = two_branches(databases, applier, "loc2")
    end_key("loc2", SEEDS["loc2"], both.longer.head.seq)
    assert applier.apply(both.longer) == 5


@pytest.mark.feature("R08")
def test_a_location_restored_from_before_the_change_shows_its_fork_with_its_new_key(both, applier):
    """Its database is old, its settings are not: it numbers with the key that counts."""
    restored = with_key(both.shorter)
    applier.hear(restored.head)
    assert streams.stopped() == {"loc2": 1}
    assert forks.evidence() == [restored.head]


@pytest.mark.feature("R08")
def test_a_branch_that_the_new_key_signed_is_a_fork_too(both, applier):
    assert applier.apply(with_key(both.shorter)) == 0
    assert streams.stopped() == {"loc2": 1}


def test_who_was_stopped_before_it_heard_of_the_end_goes_on_in_the_next_epoch(databases, applier):
    both = two_branches(databases, applier, "loc2")
    after = next_epoch("loc2", lambda pen: pen.create(6, surname="After"), databases)
    applier.apply(both.longer)
    applier.hear(both.shorter.head)
    assert streams.stopped() == {"loc2": 1}, "the key counts, as far as is known here"
    end_key("loc2", SEEDS["loc2"], both.longer.head.seq)
    assert forks.evidence() == [both.shorter.head], "its origin is told"
    assert applier.apply(with_key(after)) == 1
    assert streams.stopped() == {}
    assert queries.get(person(6)).values["surname"] == "After"


OWN = b"the key of this location before"


@pytest.fixture
def changed(databases, applier, settings):
    """This location is restored, and has changed its key; the longer branch it knows no more."""
    before, new = hashlib.sha256(OWN).digest(), settings.LOCATION_KEY
    settings.LOCATION_KEY = base64.b64encode(before).decode()
    found = two_branches(databases, applier, "loc1")
    stand_at(applier, found.shorter)
    settings.LOCATION_KEY = new
    end_key("loc1", before, found.longer.head.seq, streams.own_key())
    return found


@pytest.mark.feature("R08")
@pytest.mark.parametrize("peer", ["that holds the branch", "that knows its head alone"])
def test_what_its_former_key_signed_and_it_lost_a_location_still_takes_back(changed, network, peer):
    """A peer that stopped its stream goes on only in the next epoch: so it has to begin one."""
    told = TellingPeer("loc2", changed.shorter, changed.longer.head)
    holding = BranchPeer("loc2", changed.longer)
    said = holding if peer == "that holds the branch" else told
    Contact(said, network).step()  # type: ignore[arg-type]
    assert recovery.is_recovering()


def test_beyond_its_end_not_even_a_locations_own_key_counts(changed, network):
    end_key("loc1", hashlib.sha256(OWN).digest(), changed.longer.head.seq - 1, streams.own_key())
    told = TellingPeer("loc2", changed.shorter, changed.longer.head)
    Contact(told, network).step()  # type: ignore[arg-type]
    assert not recovery.is_recovering()
