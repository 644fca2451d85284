from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.conf import settings
from django.db import OperationalError, connection, transaction

from events import chain, log, recorder, sequencer, streams
from events.drafting import Author, Draft
from events.errors import WrongCursor
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


def plain() -> dict[str, Any]:
    """Return how to open another connection to the same database."""
    return {**connection.get_connection_params(), "cursor_factory": psycopg.Cursor}


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
    with psycopg.connect(**plain()) as slow:
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


def test_trap_02_a_long_open_transaction_holds_up_nobody():
    """It has an outbox id, an own id and a snapshot, all older than those of the others."""
    with psycopg.connect(**plain()) as idle:
        idle.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        idle.execute("INSERT INTO events_outbox (tx) VALUES (gen_random_uuid())")
        written = [write(n, now=NOW + n)[0] for n in range(1, 4)]
        assert one_pass() == 3
        assert numbered() == written
        page = streams.page("loc1", 1, 0)
        assert page is not None
        assert [item.seq for item in page.items] == [1, 2, 3]
        idle.rollback()


def test_trap_03_what_is_rolled_back_leaves_no_gap(monkeypatch):
    first = write(1)

    def breaks_down(*_: object) -> None:
        raise OperationalError

    for n in range(3):
        with psycopg.connect(**plain()) as burning:
            burning.execute("INSERT INTO events_outbox (tx) VALUES (gen_random_uuid())")
            burning.rollback()
        with monkeypatch.context() as broken:
            broken.setattr("events.refold.refold", breaks_down)
            with pytest.raises(OperationalError):
                write(10 + n)
    second = write(20)
    ids = list(Outbox.objects.order_by("id").values_list("id", flat=True))
    assert ids[1] > ids[0] + 1, "ids were burnt"
    assert one_pass() == 2
    assert numbered() == first + second
    assert [n.seq for n in EventNumber.objects.order_by("seq")] == [1, 2]


class Overtaken:
    """A cursor; when it has read the outbox, another sequencer numbers what it has read."""

    def __init__(self, cursor: Any, overtake: Callable[[], object]) -> None:
        self._cursor, self._overtake = cursor, [overtake]

    def execute(self, query: str, parameters: Sequence[object]) -> None:
        self._cursor.execute(query, parameters)

    def fetchone(self) -> Any:
        return self._cursor.fetchone()

    def fetchall(self) -> Any:
        found = self._cursor.fetchall()
        if self._overtake:
            self._overtake.pop()()
        return found


def test_trap_43_two_that_both_have_the_lock_give_no_event_two_numbers():
    """Through a pooler of connections a session's lock is whoever's comes next."""
    written = write(1, 2)

    def other_pass() -> None:
        with psycopg.connect(**plain()) as other, other.cursor() as cursor:
            assert number_pass(cursor, settings.LOCATION_ID, own_key()) == 2

    with pytest.raises(WrongCursor), transaction.atomic(), connection.cursor() as cursor:
        number_pass(Overtaken(cursor, other_pass), settings.LOCATION_ID, own_key())
    assert numbered() == written
    third = write(5, now=NOW + 5)
    assert one_pass() == 1
    assert numbered() == written + third


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
