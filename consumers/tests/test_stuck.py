"""A stream that a peer shows and that does not come is said; one that moves is catching up."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from accounts.models import Member
from consumers import dead_letters
from consumers.dead_letters import DeadLetter
from consumers.metrics import Standing
from consumers.runner import Consumer
from consumers.tests.origins import NOW, signed, three_people_of
from consumers.tests.test_contact import FakePeer, fake, runs
from consumers.tests.test_status import exit_code, peer, says
from events import contacts, streams, stuck
from events.contacts import Said
from events.models import PeerContact
from events.status import degraded, summary, sync_status
from events.stuck import STUCK_SECONDS, Lack, renewed
from tests.locations import wait_until

__all__ = ["fake", "runs"]

pytestmark = pytest.mark.feature("S06")
database = pytest.mark.django_db(transaction=True)


@given(st.lists(st.tuples(st.floats(0.1, 20), st.integers(0, 2), st.booleans()), max_size=30))
@settings(deadline=None)
def test_what_stands_is_stuck_after_a_while_and_what_moves_never(words) -> None:
    """Each word comes some seconds after the last; meanwhile some numbers were taken, or none."""
    now, here, said = 1000.0, 0, 5
    kept: list[Lack] = []
    stands_since: float | None = None  # as long as every word shows more, and none of it has come
    for seconds, taken, has_more in words:
        now, here = now + seconds, here + taken
        said = max(said, here + 1) if has_more else here
        stands_since = None if taken or not has_more else stands_since
        if has_more:
            stands_since = now if stands_since is None else stands_since
        kept = renewed(kept, [Lack("loc2", 1, said, here, now)] if has_more else [])
        for later in (0.0, 10.0, STUCK_SECONDS):
            found = stuck.stuck(kept, {("loc2", 1): here}, now + later)
            is_so = stands_since is not None and now + later - stands_since >= STUCK_SECONDS
            assert bool(found) == is_so
        assert stuck.stuck(kept, {("loc2", 1): here + 1}, now + 99) == [], "it has come meanwhile"


def test_it_is_said_within_a_minute():
    """A peer is heard of every five seconds, and some of its words get lost."""
    assert STUCK_SECONDS + 5 + stuck.SILENCE_SECONDS < 60


def test_a_clock_that_is_set_back_raises_no_alarm_and_hides_none_for_long():
    ahead = [Lack("loc2", 1, 9, 5, 5000.0)]
    (again,) = renewed(ahead, [Lack("loc2", 1, 9, 5, 1000.0)])
    assert again.since == 1000.0


def later(seconds: float = STUCK_SECONDS) -> None:
    """Let time pass for what is lacking."""
    for contact in PeerContact.objects.all():
        contact.lacking = [[*each[:4], each[4] - seconds] for each in contact.lacking]
        contact.save(update_fields=["lacking"])


@pytest.fixture
def behind(databases, applier) -> None:
    """Five numbers of loc2 are here, and it says that it has nine."""
    applier.apply(three_people_of(databases)[0])
    says("loc2", loc2=9)
    says("loc3", loc2=5)


@database
def test_a_number_that_does_not_come_is_stuck_after_a_while(behind):
    later(STUCK_SECONDS - 20)
    says("loc2", loc2=9)
    assert peer()["state"] == summary()["state"] == "catching up"
    later(21)
    says("loc2", loc2=12)
    assert peer()["state"] == summary()["state"] == "stuck"
    assert peer("loc3")["state"] != "stuck"
    [found] = sync_status()["stuck"]
    assert 31 <= found.pop("seconds") < 60
    assert found.pop("since")[:2] == "20"
    assert found == {
        "origin": "loc2", "epoch": 1, "applied_seq": 5, "their_seq": 12, "peers": ["loc2"],
        "reason": stuck.NOT_SAID}  # fmt: skip


@database
def test_each_of_several_peers_can_show_it(behind):
    says("loc3", loc2=7)
    later()
    [found] = sync_status()["stuck"]
    assert (found["peers"], found["their_seq"]) == (["loc2", "loc3"], 9)
    assert peer("loc3")["state"] == "stuck"


@database
def test_what_moves_however_slowly_is_catching_up(behind, applier, databases):
    run = three_people_of(databases)[0]
    more = signed("loc2", [replace(run.items[4], raw=b"{}")], run.items[4].chain, after=5)
    later(STUCK_SECONDS + 100)
    applier.apply(more)
    assert peer()["state"] == "catching up", "even before the next word"
    says("loc2", loc2=9)
    later(STUCK_SECONDS - 20)
    says("loc2", loc2=9)
    assert peer()["state"] == "catching up"


@database
def test_where_nothing_is_to_be_had_all_is_well(behind):
    says("loc2", loc2=5)
    later(10**6)
    assert PeerContact.objects.get(location="loc2").lacking == []
    assert sync_status()["stuck"] == []


@database
def test_a_silence_is_no_time_to_come_in(behind):
    later()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE events_peercontact SET last_contact_at = now() - interval '1 min'")
    assert (peer()["state"], sync_status()["stuck"]) == ("unreachable", [])
    says("loc2", loc2=9)
    assert peer()["state"] == "catching up"


@database
def test_who_answers_positions_and_no_page_does_not_begin_anew(behind):
    later(STUCK_SECONDS - 20)
    contacts.note_failure("loc2", "ReadTimeout")
    assert peer()["state"] == "unreachable"
    contacts.note_heads("loc2", PeerContact.objects.get(location="loc2").heads)
    later(21)
    assert peer()["state"] == "stuck"


def reasons() -> list[str]:
    later()
    return [each["reason"] for each in sync_status()["stuck"]]


@database
def test_why_if_it_is_known(behind):
    place = DeadLetter("loc2", 1, 6, dead_letters.PULL, "page_not_verified", b"x")
    dead_letters.keep(replace(place, seq=5), NOW)
    assert reasons() == [stuck.NOT_SAID], "that number is here"
    dead_letters.keep(place, NOW)
    assert reasons() == [stuck.NOT_SIGNED]
    streams.stop("loc2", 1, "fork")
    assert reasons() == [stuck.FORKED]
    assert peer()["state"] == "unequal", "which says more"
    says("loc2", loc2=5, loc9=1, loc1=3)
    assert reasons() == [stuck.NOT_SHOWN, stuck.NO_KEY]


@database
def test_other_events_under_a_number_that_is_here_are_no_catching_up(behind):
    """A location that was restored with a key that has ended: nothing it signs contradicts."""
    heads = {"loc2": {"epoch": 1, "seq": 4, "chain": "00"}}
    contacts.note("loc2", Said(heads, "", {}, 0), 0)
    assert reasons() == [stuck.OTHER]


@database
def test_it_is_said_wherever_somebody_looks(behind, capsys):
    later()
    assert exit_code() == 1
    assert json.loads(capsys.readouterr().out)["state"] == "stuck"
    with pytest.raises(SystemExit):
        call_command("sync_status")
    said = capsys.readouterr().out
    assert re.search(
        r"\n  stuck: loc2 has stood at 5 of 9 in epoch 1 since 20\S+ \(3\d\.\d s\), as loc2 can"
        rf" show: {stuck.NOT_SAID}\n", said,
    ), said  # fmt: skip
    assert "peers whose streams do not arrive: 1" in degraded()
    registry = CollectorRegistry()
    registry.register(Standing())
    assert "\nsins_stuck_streams 1.0\n" in generate_latest(registry).decode()
    client = Client()
    client.force_login(Member.objects.create_user("p", "not-used-here", roles=["provider"]))
    page = client.get("/sync/").content.decode()
    assert "Streams that do not arrive" in page
    assert stuck.NOT_SAID in page
    assert "a stream does not arrive" in page, "the footer of every page"


@pytest.fixture
def consumer(fake, settings, monkeypatch) -> Iterator[Consumer]:
    """The real loops, with a peer whose pages are not what it signed."""
    monkeypatch.setattr(stuck, "STUCK_SECONDS", 1.5)
    settings.PEERS = {"loc2": settings.PEERS["loc2"]}
    fake.spoil = lambda route, answer: spoilt(answer) if route == "events" else answer
    found = Consumer(threading.Event())
    thread = threading.Thread(target=found.run)
    thread.start()
    yield found
    found._stop.set()
    thread.join(10)


def spoilt(page: dict[str, Any]) -> dict[str, Any]:
    first, *rest = page["events"]
    raw = base64.b64encode(base64.b64decode(first["raw"]) + b" ").decode()
    return {**page, "events": [{**first, "raw": raw}, *rest]}


@database
def test_the_real_loops_raise_the_alarm_and_take_it_back(consumer, fake: FakePeer):
    wait_until(lambda: peer()["state"] == "stuck", 30, lambda: str(sync_status()))
    [found] = sync_status()["stuck"]
    assert (found["origin"], found["applied_seq"], found["their_seq"]) == ("loc2", 0, 5)
    assert found["reason"] == stuck.NOT_SIGNED
    assert peer()["reachable"], "it answers all the time"
    fake.spoil = lambda route, answer: answer
    wait_until(lambda: streams.applied_seq("loc2", 1) == 5, 30)
    wait_until(lambda: not sync_status()["stuck"], 30)
