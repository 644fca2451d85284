from __future__ import annotations

import threading
import time
from uuid import UUID

import psycopg
import pytest
from django.conf import settings
from django.db import connection, transaction

from events import chain, log, recorder, sequencer, streams
from events.drafting import Author, Draft
from events.loops import Backoff, Loop
from events.models import EventNumber, Outbox, StreamHead
from events.sequencer import Sequencer, number_pass
from events.streams import own_head, own_key
from tests.sample.models import OFFER

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.feature("S02")]

NOW = 1_800_000_000_000_000


def write(first: int, count: int = 1, now: int = NOW) -> list[UUID]:
    """Record one transaction of ``count`` offers; return its event ids in order."""
    drafts = [
        Draft(UUID(int=first + n), "sample.offer_made", {"title": {"title": f"t{n}"}}, OFFER,
              is_new=True)
        for n in range(count)
    ]  # fmt: skip
    events = recorder.record(drafts, Author(None, settings.LOCATION_ID, now))
    return [event.event_id for event in events]


def one_pass() -> int:
    with transaction.atomic(), connection.cursor() as cursor:
        return number_pass(cursor, settings.LOCATION_ID, own_key())


def numbered() -> list[UUID]:
    found = EventNumber.objects.order_by("seq").values_list("event_id", flat=True)
    return [event_id for event_id in found if event_id is not None]


def test_nothing_to_number():
    assert one_pass() == 0
    assert StreamHead.objects.count() == 0


def test_numbers_transactions_in_outbox_order_and_events_in_theirs():
    written = write(1, 3) + write(10, 2)
    assert one_pass() == 5
    assert numbered() == written
    assert list(EventNumber.objects.order_by("seq").values_list("seq", flat=True)) == [
        1, 2, 3, 4, 5]  # fmt: skip
    assert Outbox.objects.count() == 0
    assert one_pass() == 0


def test_head_is_signed_and_ends_the_chain():
    written = write(1, 3)
    one_pass()
    write(10)
    one_pass()
    stored = log.by_id(numbered())
    with connection.cursor() as cursor:
        head = own_head(cursor, settings.LOCATION_ID)
    values = list(
        chain.steps(chain.start("loc1", 1), (stored[event_id][0] for event_id in numbered()))
    )
    assert (head.seq, head.chain) == (4, values[-1])
    assert chain.is_signed_by(head, chain.public_key(own_key()))
    assert [bytes(n.chain) for n in EventNumber.objects.order_by("seq")] == values
    assert numbered()[:3] == written


def test_trap_14_pass_takes_whole_transactions_of_at_most_1000_events():
    write(1, 600)
    write(1000, 600)
    write(2000, 1000)
    assert [one_pass(), one_pass(), one_pass(), one_pass()] == [600, 600, 1000, 0]


def test_trap_01_late_committer_gets_a_later_number():
    """A transaction that took its outbox id first but commits last is not missed."""
    url = connection.get_connection_params()
    with psycopg.connect(**{**url, "cursor_factory": psycopg.Cursor}) as slow:
        late = slow.execute(
            "INSERT INTO events_outbox (tx) VALUES (gen_random_uuid()) RETURNING id, tx"
        ).fetchone()
        first = write(1)
        assert one_pass() == 1
        assert Outbox.objects.count() == 0
        assert late is not None
        slow.execute(
            "INSERT INTO events_event (event_id, origin, entity_uid, type, ts, tx, tx_index, raw,"
            " recorded_at) VALUES (%s, 'loc1', %s, 't', 1, %s, 0, 'raw', now())",
            [UUID(int=5), UUID(int=6), late[1]],
        )
        slow.commit()
    assert one_pass() == 1
    assert numbered() == [*first, UUID(int=5)]


def test_every_page_of_1000_ends_with_a_head():
    for n in range(12):
        write(1000 * n, 300, NOW + n)
        one_pass()
    kept = list(StreamHead.objects.order_by("seq").values_list("seq", flat=True))
    assert kept[-1] == 3600
    assert all(b - a <= streams.PAGE for a, b in zip([0, *kept], kept, strict=False))
    assert len(kept) < 12
    after, pages = 0, []
    while page := streams.page("loc1", 1, after):
        assert [item.seq for item in page.items] == list(range(after + 1, page.head.seq + 1))
        assert len(page.items) <= streams.PAGE
        after = page.head.seq
        pages.append(len(page.items))
    assert sum(pages) == 3600


def test_page_from_the_middle_ends_at_a_head_too():
    write(1, 5)
    one_pass()
    page = streams.page("loc1", 1, 3)
    assert page is not None
    assert [item.seq for item in page.items] == [4, 5]
    assert page.before == bytes(EventNumber.objects.get(seq=3).chain)
    assert streams.page("loc1", 1, 5) is None
    assert streams.page("loc1", 2, 0) is None
    assert streams.page("nowhere", 1, 0) is None


class Running:
    """A sequencer in a thread, as the command runs it."""

    def __init__(self) -> None:
        self.stop, self.numbered = threading.Event(), threading.Event()
        self.sequencer = Sequencer(settings.LOCATION_ID, own_key(), self.numbered)
        step, pause = self.sequencer.step, self.sequencer.pause
        self.loop = Loop("test", step, pause, self.stop, recover=self.sequencer.close)
        self.thread = self.loop.thread()

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join(5)
        self.sequencer.close()


def wait_for(count: int, seconds: float = 5) -> float:
    begin = time.monotonic()
    while EventNumber.objects.count() < count:
        assert time.monotonic() - begin < seconds, f"{EventNumber.objects.count()} of {count}"
        time.sleep(0.005)
    return time.monotonic() - begin


def test_numbers_within_moments():
    with Running() as running:
        write(1)
        wait_for(1)
        write(2)
        assert wait_for(2) < 1
        assert running.numbered.is_set()


def test_two_sequencers_one_stands_by(monkeypatch):
    monkeypatch.setattr(sequencer, "STANDBY_SECONDS", 0.1)
    with Running() as first:
        write(1)
        wait_for(1)
        with Running() as second:
            time.sleep(0.3)
            assert second.sequencer.pause() == 0.1
            first.stop.set()
            first.thread.join(5)
            first.sequencer.close()
            write(2)
            wait_for(2)
    assert len(set(numbered())) == 2


def test_goes_on_after_its_connection_was_ended():
    with Running():
        write(1)
        wait_for(1)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        write(2)
        wait_for(2)


def test_backoff_grows_and_begins_anew():
    backoff = Backoff(least=1, most=4)
    waits = [backoff.next() for _ in range(5)]
    assert 0.5 <= waits[0] <= 1
    assert 2 <= waits[4] <= 4
    backoff.reset()
    assert backoff.next() <= 1
    for _ in range(2000):
        assert backoff.next() <= 4
