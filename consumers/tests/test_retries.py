"""Dead letters: looked at, settled once their number is here, an event once they are read."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction

from consumers import dead_letters, retries, ship_cursors, verify
from consumers.dead_letters import DeadLetter
from consumers.errors import PeerFailed
from consumers.pull import Peer
from consumers.tests.origins import NOW, pages, person, signed, stream_of, three_people_of
from consumers.tests.test_rebuild import DESK, LAMP, START, offer, parked, standing, stream
from consumers.verify import Run
from customers import queries
from events import contacts, envelope, guard, stream_checks, streams
from events.contacts import Said
from events.digest import take
from events.envelope import to_raw
from events.errors import UndecodableEvent
from events.models import DeadLetter as StoredLetter
from events.models import EventNumber
from events.streams import Item
from tests.replaying import assert_replay_is_live
from tests.sample.models import Offer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.feature("S08")]


def letters(action: str, *arguments: str) -> tuple[int, Any]:
    """Return the exit code of a command about dead letters, and what it says."""
    out, code = StringIO(), 0
    try:
        call_command("dead_letters", action, *arguments, "--json", stdout=out)
    except SystemExit as exc:
        code = int(exc.code or 0)
    return code, json.loads(out.getvalue())


def retried(*arguments: str) -> tuple[int, list[str]]:
    code, said = letters("retry", *(arguments or ("--all",)))
    return code, [each["outcome"] for each in said["dead_letters"]]


def bury(seq: int | None, source: str = "kafka", reason: str = "MissingKey", **other: Any) -> int:
    values: dict[str, Any] = {"origin": "loc2", "epoch": None if seq is None else 1, "raw": b"x"}
    letter = DeadLetter(seq=seq, source=source, reason=reason, **{**values, **other})
    dead_letters.keep(letter, NOW)
    return StoredLetter.objects.latest("id").id


@pytest.fixture
def run(databases) -> Run:
    return three_people_of(databases)[0]


@pytest.fixture
def blind(monkeypatch):
    """A release that cannot read certain bytes; ``clear()`` mends it."""
    unread: set[bytes] = set()

    def reads(raw: bytes) -> envelope.Event:
        if raw in unread:
            raise UndecodableEvent
        return envelope.from_raw(raw)

    monkeypatch.setattr(verify, "from_raw", reads)
    return unread


@pytest.fixture
def serving(monkeypatch) -> dict[str, list[Run]]:
    """What each peer serves; one that is not here does not answer."""
    served: dict[str, list[Run]] = {}

    def page(self: Peer, origin: str, epoch: int, after: int) -> Run | None:
        if self.location not in served:
            raise PeerFailed("ConnectError")
        return next((r for r in served[self.location] if r.origin == origin), None)

    monkeypatch.setattr(Peer, "page", page)
    return served


def test_none(databases, capsys):
    assert letters("list") == (0, {"dead_letters": []})
    assert retried() == (0, [])
    call_command("dead_letters", "list")
    assert capsys.readouterr().out == ""


def test_list_says_place_source_reason_size_and_age(run, applier, capsys):
    applier.apply(signed("loc2", [Item(0, b"\xff no event", b"")]))
    bury(None, reason="unreadable record", raw=b"four")
    code, said = letters("list")
    assert code == 1
    unreadable, numbered = said["dead_letters"]
    assert isinstance(unreadable.pop("age_seconds"), int)
    assert unreadable.pop("received_at").startswith("2027-01-15")
    unreadable.pop("id")
    assert unreadable == {
        "origin": "loc2", "epoch": None, "seq": None, "source": "kafka",
        "reason": "unreadable record", "bytes": 4}  # fmt: skip
    assert (numbered["epoch"], numbered["seq"], numbered["source"]) == (1, 1, "stream")
    with pytest.raises(SystemExit):
        call_command("dead_letters", "list")
    heading, first, second = capsys.readouterr().out.splitlines()
    assert heading.split() == ["id", "place", "source", "reason", "bytes", "age"]
    assert "loc2  " in first
    assert "loc2 1:1  stream  not an event" in second
    _, only = letters("list", str(numbered["id"]))
    assert [each["id"] for each in only["dead_letters"]] == [numbered["id"]]


def test_show_names_what_the_bytes_are_and_no_value_of_theirs(run, tmp_path, capsys):
    secret = offer(
        1, LAMP, {"title": {"title": "Canary"}, "price": {"amount": "7", "currency": "EUR"}}
    )
    raw = to_raw(secret)
    shown = bury(9, raw=raw)
    code, said = letters("show", str(shown))
    assert code == 0
    assert said["event"] == {
        "type": "sample.offer_made", "schema_version": 1, "ts": START + 1,
        "entity_uid": str(LAMP), "groups": ["price", "title"]}  # fmt: skip
    assert said["sha256"] == dead_letters.kept([shown])[0].sha256
    path = tmp_path / "raw"
    call_command("dead_letters", "show", str(shown), "--raw-file", str(path))
    printed = capsys.readouterr().out
    assert "sample.offer_made" in printed
    assert "Canary" not in printed + json.dumps(said)
    assert path.read_bytes() == raw
    assert path.stat().st_mode & 0o777 == 0o600
    assert letters("show", str(bury(10)))[1]["event"] is None
    with pytest.raises(CommandError, match="File exists") as refused:
        call_command("dead_letters", "show", str(shown), "--raw-file", str(path))
    assert refused.value.returncode == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("show",), "Say which one"),
        (("show", "1", "2"), "Say which one"),
        (("show", "7"), "There is no dead letter 7"),
        (("list", "7"), "There is no dead letter 7"),
        (("retry",), "Say which"),
        (("retry", "1", "--all"), "Say which"),
        (("retry", "7", "8"), "There is no dead letter 7, 8"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(databases, arguments, sentence):
    with pytest.raises(CommandError, match=sentence) as refused:
        call_command("dead_letters", *arguments)
    assert refused.value.returncode == 2


def test_copy_is_settled_once_its_number_is_here(run, applier):
    bury(3)
    bury(5, source="pull", reason="page_not_verified")
    bury(6)
    assert retried() == (1, [retries.WAITS] * 3)
    assert StoredLetter.objects.count() == 3
    applier.apply(run)
    assert retried() == (1, [retries.APPLIED_MEANWHILE] * 2 + [retries.WAITS])
    assert [letter.seq for letter in StoredLetter.objects.all()] == [6]


def test_only_those_asked_for(run, applier):
    first, second = bury(1), bury(2)
    applier.apply(run)
    assert retried(str(second)) == (0, [retries.APPLIED_MEANWHILE])
    assert StoredLetter.objects.get().id == first


def test_copy_without_a_number_is_settled_when_nothing_of_its_origin_is_missing(run, applier):
    bury(None, reason="unreadable record")
    assert retried() == (1, [retries.WAITS]), "loc2 has not been heard of"
    heads = {"loc2": {"epoch": 1, "seq": 5, "chain": run.head.chain.hex()}}
    contacts.note("loc2", Said(heads, "", {}, 0), 0)
    assert retried() == (1, [retries.WAITS])
    applier.apply(run)
    assert retried() == (0, [retries.APPLIED_MEANWHILE])


def test_fork_stays_while_its_stream_is_stopped(databases, run, applier):
    other = stream_of(databases, "loc2", lambda pen: pen.create(9, surname="Other"))
    applier._positions.clear()
    applier.apply(run)
    applier.hear(other[0].head)
    assert retried() == (1, [retries.STOPPED])
    assert StoredLetter.objects.count() == 1


def test_trap_29_undecodable_bytes_are_still_no_event(run, applier, serving):
    applier.apply(signed("loc2", [*run.items, Item(0, b"\xff no event", b"")]))
    before = take()
    assert retried() == (1, ["is still no event"])
    assert take() == before
    assert EventNumber.objects.get(seq=6).event_id is None


def test_trap_42_event_id_re_used_with_other_bytes_stays(run, applier, serving):
    """Its number counts, its bytes are kept and served on; it is never an event."""
    applier.apply(run)
    raw = run.items[0].raw.replace(b"request-loc2-00000", b"request-loc2-99999")
    applier.apply(signed("loc2", [replace(run.items[0], raw=raw)], run.head.chain, after=5))
    before = standing(), take()
    serving["loc2"] = [run]
    assert retried() == (1, ["stays: its event id is that of another event"])
    assert (standing(), take()) == before
    assert EventNumber.objects.get(seq=6).event_id is None
    (stream_,) = (s for s in stream_checks.streams_here() if s.origin == "loc2")
    assert stream_checks.first_wrong(stream_) is None
    assert pages("loc2", 5)[0].items[0].raw == raw


def test_trap_42_the_database_refuses_another_event_for_a_number(run, applier, blind):
    """Whatever the code does: a number is given to the bytes the chain runs over, or to none."""
    blind.add(run.items[1].raw)
    applier.apply(run)
    other = EventNumber.objects.get(origin="loc2", seq=1).event_id
    for seq, event_id in ((2, other), (2, person(99)), (1, other), (9, other)):
        with pytest.raises(DatabaseError, match="has an event, or was given for other bytes"):
            _name(seq, event_id, guard.SET_MARK)
    with pytest.raises(DatabaseError, match="written by record"):
        _name(2, other, "SELECT 1")
    assert EventNumber.objects.get(origin="loc2", seq=2).event_id is None


def _name(seq: int, event_id: UUID | None, first: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(first)
        cursor.execute("SELECT sins_name_event('loc2', 1, %s, %s)", [seq, event_id])


@pytest.mark.parametrize("index", [0, 2])
def test_bytes_that_this_release_reads_become_the_event_they_are(databases, applier, blind, index):
    """Then all is as where they were read from the start: rows, numbers, what is served on."""
    run = stream(offer(1, LAMP), offer(2, DESK), offer(3, LAMP, {"note": {"note": None}},
                 type="sample.offer_changed"))  # fmt: skip
    applier.apply(run)
    wanted = standing(), take()
    databases.renew()
    applier._positions.clear()

    blind.add(run.items[index].raw)
    assert applier.apply(run) == 2
    assert retried() == (1, ["is still no event"])
    blind.clear()
    assert retried() == (0, [retries.NOW_AN_EVENT])
    assert (standing(), take()) == wanted
    assert StoredLetter.objects.count() == 0
    assert not EventNumber.objects.filter(event_id=None).exists()
    (served,) = pages("loc2")
    assert [item.raw for item in served.items] == [item.raw for item in run.items]
    (checked,) = stream_checks.streams_here("loc2")
    assert (checked.events, stream_checks.first_wrong(checked)) == (3, None)
    assert_replay_is_live()
    assert applier.apply(run) == 0


def test_personal_values_are_fetched_from_the_origin(databases, run, applier, blind, serving):
    """What travelled beside the bytes was not kept with them."""
    applier.apply(run)
    wanted = standing(), take()
    databases.renew()
    applier._positions.clear()
    blind.add(run.items[1].raw)
    applier.apply(run)
    blind.clear()
    assert retried() == (1, [retries.WAITS_FOR_SECRET])
    assert EventNumber.objects.get(seq=2).event_id is None
    serving["loc2"] = [with_ct_of(run, 1, None)]
    assert retried() == (1, [retries.WAITS_FOR_SECRET]), "it may be no event there either"
    serving["loc3"] = [run]
    assert retried() == (0, [retries.NOW_AN_EVENT])
    assert queries.get(person(2)).values["surname"] == "Person 2"
    assert (standing(), take()) == wanted


def test_foreign_ciphertext_parks_the_record(run, applier, blind, serving):
    blind.add(run.items[1].raw)
    applier.apply(run)
    blind.clear()
    serving["loc2"] = [with_ct_of(run, 1, run.items[0].ct)]
    assert retried() == (0, [retries.NOW_PARKED])
    assert parked() == {person(2): "MissingKey"}


def with_ct_of(run: Run, index: int, ct: bytes | None) -> Run:
    items = list(run.items)
    items[index] = replace(items[index], ct=ct)
    return replace(run, items=items)


def test_transaction_is_whole_again_with_its_last_event(databases, applier, blind):
    together: dict[str, Any] = {"tx": UUID(int=3), "tx_size": 2}
    run = stream(offer(1, LAMP, **together), offer(2, DESK, tx_index=1, **together))
    applier.apply(run)
    wanted = standing(), take()
    databases.renew()
    applier._positions.clear()

    blind |= {item.raw for item in run.items}
    applier.apply(run)
    blind.remove(run.items[1].raw)
    assert retried() == (1, ["is still no event", retries.NOW_PARKED])
    assert parked() == {DESK: "incomplete transaction"}
    assert Offer.objects.count() == 0, "a transaction is shown whole or not at all"
    blind.clear()
    assert retried() == (0, [retries.NOW_AN_EVENT])
    assert parked() == {}
    assert (standing(), take()) == wanted


def test_what_no_column_takes_is_an_event_whose_record_is_parked(databases, applier, blind):
    run = stream(offer(1, LAMP, {"price": {"amount": "many", "currency": "EUR"}}), offer(2, DESK))
    blind.add(run.items[0].raw)
    applier.apply(run)
    blind.clear()
    assert retried() == (0, [retries.NOW_PARKED])
    assert parked() == {LAMP: "DataError"}
    assert EventNumber.objects.get(seq=1).event_id is not None


def test_what_the_database_refuses_even_so_stays(databases, applier, blind, monkeypatch):
    run = stream(offer(1, LAMP))
    blind.add(run.items[0].raw)
    applier.apply(run)
    blind.clear()

    def refuses(late: Any, poison: str | None = None) -> None:
        raise ValueError

    monkeypatch.setattr(retries, "recognise", refuses)
    assert retried() == (1, [retries.REFUSED])
    assert StoredLetter.objects.count() == 1


def test_event_that_is_late_is_shipped_too(databases, applier, blind):
    run = stream(offer(1, LAMP), offer(2, DESK))
    blind.add(run.items[0].raw)
    applier.apply(run)
    ship_cursors.save("loc2:1", 0, 2)
    ship_cursors.save("loc3:1", 0, 2)
    blind.clear()
    retried()
    with connection.cursor() as cursor:
        cursor.execute("SELECT stream, number FROM consumers_shipcursor ORDER BY stream")
        assert cursor.fetchall() == [("loc2:1", 0), ("loc3:1", 2)]
    assert streams.applied_seq("loc2", 1) == 2
