from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from unittest.mock import Mock

import psycopg
import pytest
from django.db import IntegrityError, OperationalError

from consumers.apply import Applier, Pace
from consumers.errors import NotVerified
from consumers.tests.origins import (
    SEEDS,
    Elsewhere,
    number_all,
    pages,
    person,
    signed,
    stream_of,
    three_people,
    three_people_of,
    with_raw,
)
from customers import queries
from customers.commands import new_draft, new_groups
from events import chain, recorder, streams
from events.digest import take
from events.envelope import Event, to_raw
from events.errors import WrongCursor
from events.models import DeadLetter, EntityHead, EventNumber, Received
from events.models import Event as StoredEvent
from events.streams import Item
from tests.by_hand import owner_url
from tests.replaying import assert_replay_is_live
from tests.sample.models import Offer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.feature("S03")]


@pytest.fixture
def runs(databases):
    return three_people_of(databases)


def rows() -> tuple[int, int, int]:
    return StoredEvent.objects.filter(origin="loc2").count(), EventNumber.objects.count(), seq()


def seq(origin: str = "loc2") -> int:
    return streams.applied_seq(origin, 1)


def test_applies_a_page_and_serves_it_on(runs, applier):
    (run,) = runs
    assert applier.apply(run) == 5
    assert queries.get(person(1)).values["surname"] == "Person 1"
    assert queries.get(person(2)).values["phone"]
    assert queries.get(person(3)).is_deleted
    assert_replay_is_live()
    (served,) = pages("loc2")
    assert served.items == run.items
    assert served.head == run.head


def test_again_changes_nothing(runs, applier):
    applier.apply(runs[0])
    before = rows(), take().value
    assert applier.apply(runs[0]) == 0
    assert Applier(applier.clock).apply(runs[0]) == 0
    assert (rows(), take().value) == before


def test_numbers_beyond_the_cursor_are_taken_from_a_run_that_overlaps(runs, applier):
    (run,) = runs
    first = signed("loc2", run.items[:2])
    assert applier.apply(first) == 2
    assert applier.apply(run) == 3
    assert rows() == (5, 5, 5)


def test_gap_is_not_applied(runs, applier):
    (run,) = runs
    with pytest.raises(NotVerified):
        applier.apply(replace(run, items=run.items[1:]))
    assert rows() == (0, 0, 0)


def test_forged_bytes_are_not_applied(runs, applier):
    (run,) = runs
    other = run.items[1].raw.replace(b'"ts":18', b'"ts":17')
    assert other != run.items[1].raw
    with pytest.raises(NotVerified) as refused:
        applier.apply(with_raw(run, 1, other))
    assert refused.value.seq == 2
    assert rows() == (0, 0, 0)


def test_head_signed_by_another_is_refused(runs, applier):
    (run,) = runs
    forged = chain.sign(run.head, SEEDS["loc3"])
    with pytest.raises(NotVerified):
        applier.apply(replace(run, head=forged))
    assert rows() == (0, 0, 0)


def test_stream_of_an_unregistered_location_is_refused(runs, applier, settings):
    settings.PEERS = {}
    with pytest.raises(NotVerified):
        applier.apply(runs[0])


def test_trap_15_of_two_appliers_one_gives_way(runs, applier):
    (run,) = runs
    late = Applier(applier.clock)
    late.position("loc2", 1)
    applier.apply(run)
    with pytest.raises(WrongCursor):
        late.apply(run)
    assert rows() == (5, 5, 5)
    assert late.apply(run) == 0  # it knows where it stands now


def test_goes_on_behind_what_another_process_has_applied(runs, applier):
    (run,) = runs
    first = signed("loc2", run.items[:2])
    applier.position("loc2", 1)
    assert Applier(applier.clock).apply(first) == 2
    pulled = signed("loc2", run.items[2:], first.head.chain, after=2)
    assert applier.apply(pulled) == 3
    assert rows() == (5, 5, 5)


def test_batches_end_between_transactions(databases, applier, monkeypatch):
    runs = three_people_of(databases)
    sizes = []
    pace = Mock(events=2, measured=lambda events, seconds: sizes.append(events))
    Applier(applier.clock, pace).apply(runs[0])
    assert sizes == [2, 2, 1]


def test_a_transaction_that_takes_too_long_makes_the_next_smaller():
    pace = Pace()
    pace.measured(1000, 0.8)
    assert pace.events == 250
    pace.measured(250, 0.1)
    assert pace.events == 500


def test_poison_parks_its_entities_and_nothing_else_waits(databases, applier, monkeypatch):
    runs = three_people_of(databases)
    receive = recorder.receive

    def fails_on_person_2(sealed, received):
        if received.poison is None and any(s.event.entity_uid == person(2) for s in sealed):
            raise IntegrityError
        return receive(sealed, received)

    monkeypatch.setattr("consumers.apply.receive", fails_on_person_2)
    assert applier.apply(runs[0]) == 5
    parked = EntityHead.objects.filter(parked_reason__isnull=False)
    assert {head.entity_uid for head in parked} == {person(2)}
    assert queries.get(person(1)).values["surname"] == "Person 1"
    assert queries.get(person(2)).is_parked
    assert seq() == 5
    assert not take().is_settled


def test_value_no_column_takes_parks_its_record(databases, applier):
    (run,) = three_people_of(databases)
    bad = Event(
        event_id=person(77),
        origin="loc2",
        entity_uid=person(78),
        type="sample.offer_made",
        schema_version=1,
        ts=1_800_000_000_000_000,
        tx=person(79),
        set={"price": {"amount": "many", "currency": "EUR"}},
        base=dict.fromkeys(("price", "deleted", "merged_into")),
    )
    run = signed("loc2", [run.items[0], Item(0, to_raw(bad), b""), *run.items[1:]])
    assert applier.apply(run) == 6
    (head,) = EntityHead.objects.filter(parked_reason__isnull=False)
    assert (head.entity_uid, head.parked_reason) == (person(78), "DataError")
    assert Offer.objects.count() == 0
    assert queries.get(person(2)).values["surname"] == "Person 2"


@pytest.mark.feature("S08")
@pytest.mark.parametrize("group", ["surname", "display_name", "a code"])
def test_trap_28_what_no_index_takes_parks_its_record_and_stops_nothing(
    databases, applier, monkeypatch, group
):
    """PostgreSQL calls it a limit of its own, and a driver takes that for a passing trouble."""
    text = random.Random(1).randbytes(20_000).hex()  # compression would let a tale slip through

    def write(pen: Elsewhere) -> None:
        groups = new_groups({"surname": "Long"}, "PERSON", None)
        groups[text if group == "a code" else group] = {"value": text}
        with monkeypatch.context() as wide:
            wide.setattr("events.refold.refold", lambda *_: None)  # its own tables take it
            recorder.record([new_draft(person(1), groups)], pen.author())
        pen.create(2, surname="After")

    (run,) = stream_of(databases, "loc2", write)
    assert applier.apply(run) == 2
    (head,) = EntityHead.objects.filter(parked_reason__isnull=False)
    assert (head.entity_uid, head.parked_reason) == (person(1), "DataError")
    assert queries.get(person(2)).values["surname"] == "After"


def test_bytes_the_log_refuses_even_so_are_counted(databases, applier, monkeypatch):
    runs = three_people_of(databases)
    receive = recorder.receive

    def refuses_person_2(sealed, received):
        if any(s.event.entity_uid == person(2) for s in sealed):
            raise ValueError
        return receive(sealed, received)

    monkeypatch.setattr("consumers.apply.receive", refuses_person_2)
    assert applier.apply(runs[0]) == 3
    assert list(EventNumber.objects.filter(event_id=None).values_list("seq", flat=True)) == [2, 4]
    assert DeadLetter.objects.filter(source="stream").count() == 2
    (served,) = pages("loc2")
    assert [item.raw for item in served.items] == [item.raw for item in runs[0].items]


def test_bytes_that_are_no_event_count_and_are_served_on(runs, applier):
    (run,) = runs
    run = signed("loc2", [*run.items[:2], Item(0, b"\xff no event", b""), *run.items[2:]])
    assert applier.apply(run) == 5
    (letter,) = DeadLetter.objects.all()
    assert (letter.seq, letter.source, bytes(letter.raw)) == (3, "stream", b"\xff no event")
    assert EventNumber.objects.get(seq=3).event_id is None
    assert seq() == 6
    assert EntityHead.objects.filter(parked_reason__isnull=False).count() == 0
    (served,) = pages("loc2")
    assert [item.raw for item in served.items] == [item.raw for item in run.items]
    assert served.head == run.head


def test_event_of_another_origin_is_no_event_of_this_stream(databases, applier):
    theirs = three_people_of(databases, "loc3")
    run = signed("loc2", theirs[0].items)
    assert applier.apply(run) == 0
    assert seq() == 5
    assert DeadLetter.objects.count() == 5


def test_event_id_of_another_event_is_no_event(runs, applier):
    (run,) = runs
    applier.apply(run)
    raw = run.items[0].raw.replace(b"request-loc2-00000", b"request-loc2-99999")
    again = signed("loc2", [replace(run.items[0], raw=raw)], run.head.chain, after=5)
    assert applier.apply(again) == 0
    assert seq() == 6
    assert EventNumber.objects.get(seq=6).event_id is None


def together(pen: Elsewhere, *numbers: int) -> None:
    """Enter people in one transaction."""
    drafts = [
        new_draft(person(n), new_groups({"surname": f"P{n}"}, "PERSON", None)) for n in numbers
    ]
    recorder.record(drafts, pen.author())


def test_trap_14_a_crash_between_two_batches_leaves_whole_transactions(
    databases, applier, monkeypatch
):
    def in_threes(pen: Elsewhere) -> None:
        for first in (1, 4, 7):
            together(pen, first, first + 1, first + 2)

    (run,) = stream_of(databases, "loc2", in_threes)
    batches = []

    def breaks_down_at_the_second(sealed, received):
        batches.append(len(sealed))
        if len(batches) == 2:
            raise OperationalError
        return receive(sealed, received)

    receive = recorder.receive
    monkeypatch.setattr("consumers.apply.receive", breaks_down_at_the_second)
    applier.pace.events = 2  # less than a transaction
    with pytest.raises(OperationalError):
        applier.apply(run)
    assert batches == [3, 3], "none is split"
    assert rows() == (3, 3, 3)
    assert_replay_is_live()
    assert Applier(applier.clock).apply(run) == 6
    assert rows() == (9, 9, 9)
    assert not EntityHead.objects.filter(parked_reason__isnull=False).exists()


def test_part_of_a_transaction_is_parked(databases, applier):
    def two_at_once(pen: Elsewhere) -> None:
        together(pen, 1, 2)
        pen.create(3, surname="whole")

    (run,) = stream_of(databases, "loc2", two_at_once)
    torn = signed("loc2", [run.items[0], Item(0, b"nothing", b""), run.items[2]])
    assert applier.apply(torn) == 2
    assert EntityHead.objects.get(entity_uid=person(1)).parked_reason == "incomplete transaction"
    assert queries.get(person(3)).values["surname"] == "whole"


def test_missing_key_parks_and_a_foreign_ciphertext_is_not_kept(runs, applier):
    (run,) = runs
    items = [
        replace(run.items[0], wrapped=None),
        replace(run.items[1], ct=b"of something else"),
        *run.items[2:],
    ]
    applier.apply(replace(run, items=items))
    parked = {
        head.entity_uid: head.parked_reason
        for head in EntityHead.objects.filter(parked_reason__isnull=False)
    }
    assert parked == {person(1): "MissingKey", person(2): "MissingKey"}
    assert seq() == 5


def test_fork_stops_its_origin_and_no_other(databases, applier):
    def another(pen: Elsewhere) -> None:
        pen.create(7, surname="Other")
        pen.create(8, surname="Others")

    def both(pen: Elsewhere) -> None:
        three_people(pen)
        another(pen)

    first = three_people_of(databases)
    second = stream_of(databases, "loc2", both)
    theirs = stream_of(databases, "loc3", another)
    applier.apply(first[0])
    later = replace(
        second[0],
        items=second[0].items[5:],
        before=chain_at(second[0].items, 5),
    )
    assert applier.apply(later) == 0
    assert streams.stopped() == {"loc2": 1}
    assert DeadLetter.objects.get().reason == "fork"
    assert applier.apply(first[0]) == 0
    assert applier.apply(theirs[0]) == 2


def chain_at(items, count: int) -> bytes:
    *_, last = chain.steps(chain.start("loc2", 1), (item.raw for item in items[:count]))
    return last


def test_signed_head_that_contradicts_stops_its_origin(databases, applier):
    first = three_people_of(databases)
    other = stream_of(databases, "loc2", lambda pen: pen.create(9, surname="Other"))
    applier.apply(first[0])
    unsigned = replace(other[0].head, signature=bytes(64))
    applier.hear(unsigned)
    assert streams.stopped() == {}
    applier.hear(other[0].head)
    assert streams.stopped() == {"loc2": 1}


def test_request_ids_reach_the_log(runs, applier, monkeypatch):
    lines: list[dict[str, object]] = []
    monkeypatch.setattr("consumers.apply.log", Lines(lines))
    applier.apply(runs[0])
    assert [line["request_id"] for line in lines] == [f"request-loc2-{n:05}" for n in range(5)]


class Lines:
    def __init__(self, lines: list) -> None:
        self._lines = lines

    def info(self, event: str, **fields: object) -> None:
        self._lines.append({"event": event, **fields})


def test_an_error_of_the_database_is_not_poison(runs, applier, monkeypatch):
    def is_away(sealed, received):
        raise OperationalError

    monkeypatch.setattr("consumers.apply.receive", is_away)
    with pytest.raises(OperationalError):
        applier.apply(runs[0])
    monkeypatch.undo()
    assert applier.apply(runs[0]) == 5
    assert Received.objects.get().seq == 5


FULL = """
CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$;
CREATE TRIGGER full_disk BEFORE INSERT ON {} FOR EACH STATEMENT EXECUTE FUNCTION full_disk()
"""


@contextmanager
def full_disk(table: str) -> Iterator[None]:
    """Let PostgreSQL answer an insert as it does when its disk is full."""
    with psycopg.connect(owner_url(), autocommit=True) as owner:
        owner.execute(FULL.format(table))
        yield
        owner.execute(f"DROP TRIGGER full_disk ON {table}; DROP FUNCTION full_disk()")


def write_here() -> None:
    Elsewhere("loc1").create(9, surname="Own")
    number_all("loc1", streams.own_key())


@pytest.mark.parametrize("table", ["events_event", "events_eventnumber", "customers_entitydetail"])
def test_trap_38_full_disk_keeps_nothing_by_halves_and_parks_nothing(runs, applier, table):
    with full_disk(table):
        with pytest.raises(OperationalError):
            applier.apply(runs[0])
        assert rows() == (0, 0, 0)
        assert not DeadLetter.objects.exists()
        with pytest.raises(OperationalError):
            write_here()
    assert applier.apply(runs[0]) == 5
    assert not EntityHead.objects.filter(parked_reason__isnull=False).exists()
    assert_replay_is_live()


def test_commit_whose_answer_was_lost_counts(runs, applier, monkeypatch):
    (run,) = runs
    receive = recorder.receive

    def is_cut_off_after_the_commit(sealed, received):
        receive(sealed, received)
        raise OperationalError

    monkeypatch.setattr("consumers.apply.receive", is_cut_off_after_the_commit)
    with pytest.raises(OperationalError):
        applier.apply(signed("loc2", run.items[:2]))
    monkeypatch.undo()
    assert rows() == (2, 2, 2)
    assert applier.apply(signed("loc2", run.items[2:], run.items[1].chain, after=2)) == 3
    assert Received.objects.get().seq == 5


def test_trap_14_the_cursor_moves_with_the_rows_or_not_at_all(runs, applier, monkeypatch):
    def breaks_down(locked, new, poison):
        raise OperationalError

    monkeypatch.setattr("events.refold.refold_received", breaks_down)
    with pytest.raises(OperationalError):
        applier.apply(runs[0])
    assert rows() == (0, 0, 0)
    assert not Received.objects.exists()
    monkeypatch.undo()
    assert applier.apply(runs[0]) == 5
