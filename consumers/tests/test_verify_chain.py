"""Every kind of damage to a stream is found and named; nothing is written by looking."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from consumers.tests.origins import (
    SEEDS,
    Elsewhere,
    number_all,
    signed,
    stream_of,
    three_people_of,
)
from events import chain, stream_checks, streams
from events.models import EventNumber, StreamHead
from events.streams import Item
from tests.by_hand import by_hand

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.feature("S10")]

OWN = "origin = 'loc1'"
THEIRS = "origin = 'loc2'"
OF_2 = f"event_id = (SELECT event_id FROM events_eventnumber WHERE {THEIRS} AND seq = 2)"


@pytest.fixture
def both(databases, applier):
    """Five events of loc2 with bytes that are no event as number 3, and five of our own."""
    (run,) = three_people_of(databases)
    applier.apply(signed("loc2", [*run.items[:2], Item(0, b"\xff no event", b""), *run.items[2:]]))
    pen = Elsewhere("loc1", begin=1_900_000_000_000_000)
    for number in range(11, 16):
        pen.create(number, surname="Own")
    number_all("loc1", streams.own_key())


def verify(*arguments: str) -> tuple[int, dict[str, Any]]:
    """Return the exit code and what is said of each stream."""
    out, code = StringIO(), 0
    try:
        call_command("verify_chain", "--json", *arguments, stdout=out)
    except SystemExit as exc:
        code = int(exc.code or 0)
    said = json.loads(out.getvalue())["streams"]
    return code, {f"{each['origin']} {each['epoch']}": each for each in said}


def wrong(stream: str = "loc2 1") -> tuple[int, str]:
    """Return the number that is wrong and what is; the other stream is as it was signed."""
    code, said = verify()
    assert code == 1
    assert [name for name, each in said.items() if each["wrong"]] == [stream]
    return said[stream]["wrong"]["seq"], said[stream]["wrong"]["what"]


def test_streams_as_signed(both):
    code, said = verify()
    assert code == 0
    assert said == {
        "loc1 1": {"origin": "loc1", "epoch": 1, "events": 5, "last_seq": 5, "heads_checked": 1,
                   "wrong": None},
        "loc2 1": {"origin": "loc2", "epoch": 1, "events": 5, "last_seq": 6, "heads_checked": 1,
                   "wrong": None},
    }  # fmt: skip
    assert list(verify("--origin", "loc2")[1]) == ["loc2 1"]


def test_nothing_here_is_nothing_wrong(databases):
    assert verify() == (0, {})


def test_a_stream_that_is_not_here(both):
    with pytest.raises(CommandError, match=r"no stream of loc9 here") as refused:
        call_command("verify_chain", "--origin", "loc9")
    assert refused.value.returncode == 2


def test_as_a_table(both, capsys):
    call_command("verify_chain")
    heading, own, theirs = capsys.readouterr().out.splitlines()
    assert heading.split() == ["stream", "events", "last", "number", "heads", "checked", "found"]
    assert own.split() == ["loc1", "1", "5", "5", "1", "as", "signed"]
    assert theirs.split() == ["loc2", "1", "5", "6", "1", "as", "signed"]
    by_hand("events_eventnumber", f"DELETE FROM events_eventnumber WHERE {THEIRS} AND seq = 2")
    with pytest.raises(SystemExit):
        call_command("verify_chain")
    assert "number 2 is missing" in capsys.readouterr().out


DAMAGE = {
    "a number is gone": (
        "events_eventnumber",
        f"DELETE FROM events_eventnumber WHERE {THEIRS} AND seq = 2",
        (2, "is missing"),
    ),
    "the first is gone": (
        "events_eventnumber",
        f"DELETE FROM events_eventnumber WHERE {THEIRS} AND seq = 1",
        (1, "is missing"),
    ),
    "the last is gone": (
        "events_eventnumber",
        f"DELETE FROM events_eventnumber WHERE {THEIRS} AND seq = 6",
        (6, "is missing"),
    ),
    "all are gone": (
        "events_eventnumber",
        f"DELETE FROM events_eventnumber WHERE {THEIRS}",
        (1, "is missing"),
    ),
    "other bytes": (
        "events_event",
        f"UPDATE events_event SET raw = raw || ' ' WHERE {OF_2}",
        (2, stream_checks.CHAIN_DIFFERS),
    ),
    "another chain value": (
        "events_eventnumber",
        f"UPDATE events_eventnumber SET chain = sha256(chain) WHERE {THEIRS} AND seq = 4",
        (4, stream_checks.CHAIN_DIFFERS),
    ),
    "the event is gone": (
        "events_event",
        f"DELETE FROM events_event WHERE {OF_2}",
        (2, stream_checks.NO_EVENT_HERE),
    ),
    "two events change places": (
        "events_eventnumber",
        (
            "UPDATE events_eventnumber n SET event_id = o.event_id FROM events_eventnumber o"
            " WHERE n.origin = 'loc2' AND o.origin = 'loc2' AND n.seq IN (1, 2)"
            " AND o.seq = 3 - n.seq"
        ),
        (1, stream_checks.CHAIN_DIFFERS),
    ),
    "the bytes of a dead letter are gone": (
        "events_deadletter",
        "DELETE FROM events_deadletter WHERE seq = 3",
        (3, stream_checks.NO_BYTES_HERE),
    ),
    "other bytes in a dead letter": (
        "events_deadletter",
        "UPDATE events_deadletter SET raw = 'other' WHERE seq = 3",
        (3, stream_checks.CHAIN_DIFFERS),
    ),
    "another record is named": (
        "events_event",
        f"UPDATE events_event SET entity_uid = gen_random_uuid(), tx_index = 7 WHERE {OF_2}",
        (2, "other than in its bytes: entity_uid, tx_index"),
    ),
    "another ciphertext": (
        "events_eventsecret",
        f"UPDATE events_eventsecret SET ct = ct || 'x' WHERE {OF_2}",
        (2, stream_checks.OTHER_CIPHERTEXT),
    ),
    "no ciphertext": (
        "events_eventsecret",
        f"DELETE FROM events_eventsecret WHERE {OF_2}",
        (2, stream_checks.NO_CIPHERTEXT),
    ),
    "a head of another chain value": (
        "events_streamhead",
        f"UPDATE events_streamhead SET chain = sha256(chain) WHERE {THEIRS}",
        (6, stream_checks.HEAD_DIFFERS),
    ),
    "a head with another signature": (
        "events_streamhead",
        f"UPDATE events_streamhead SET signature = sha512(signature) WHERE {THEIRS}",
        (6, stream_checks.HEAD_NOT_SIGNED),
    ),
    "a cursor that is behind": (
        "events_received",
        f"UPDATE events_received SET seq = 4 WHERE {THEIRS}",
        (5, stream_checks.CURSOR_DIFFERS),
    ),
    "a cursor with another chain value": (
        "events_received",
        f"UPDATE events_received SET chain = sha256(chain) WHERE {THEIRS}",
        (6, stream_checks.CURSOR_DIFFERS),
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named(both, name, monkeypatch):
    monkeypatch.setattr(stream_checks, "PAGE", 2)
    table, statement, said = DAMAGE[name]
    by_hand(table, statement)
    assert wrong() == said


def test_event_id_that_is_not_in_the_bytes(both):
    """Every table that names the event agrees, only its bytes do not."""
    other = "'5b8b4b3e-3b0a-4b6e-9a58-1f5b3c2d1e0f'"
    for table in ("events_event", "events_eventsecret"):
        by_hand(table, f"UPDATE {table} SET event_id = {other} WHERE {OF_2}")
    by_hand(
        "events_eventnumber",
        f"UPDATE events_eventnumber SET event_id = {other} WHERE {THEIRS} AND seq = 2",
    )
    assert wrong() == (2, "other than in its bytes: event_id")


def test_bytes_chained_anew_do_not_fit_the_signed_head(both):
    """Whoever changes bytes can compute a new chain, too, but not sign it."""
    numbers = list(EventNumber.objects.filter(origin="loc1").order_by("seq"))
    by_hand(
        "events_event",
        "UPDATE events_event SET raw = convert_to(replace(convert_from(raw, 'UTF8'),"
        " 'request-loc1-00004', 'request-loc1-99999'), 'UTF8') WHERE event_id = %s",
        [numbers[4].event_id],
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT raw FROM events_event WHERE event_id = %s", [numbers[4].event_id])
        raw = bytes(cursor.fetchone()[0])
    value = chain.step(bytes(numbers[3].chain), raw)
    table = "events_eventnumber"
    by_hand(table, f"UPDATE {table} SET chain = %s WHERE {OWN} AND seq = 5", [value])
    assert wrong("loc1 1") == (5, stream_checks.HEAD_DIFFERS)
    by_hand("events_streamhead", f"UPDATE events_streamhead SET chain = %s WHERE {OWN}", [value])
    assert wrong("loc1 1") == (5, stream_checks.HEAD_NOT_SIGNED)


def test_own_numbers_that_no_head_covers(both):
    by_hand("events_streamhead", f"DELETE FROM events_streamhead WHERE {OWN}")
    assert wrong("loc1 1") == (1, stream_checks.BEYOND_HEAD)


def test_the_first_of_two_is_named(both):
    by_hand("events_eventsecret", "UPDATE events_eventsecret SET ct = 'x'")
    by_hand("events_eventnumber", f"DELETE FROM events_eventnumber WHERE {THEIRS} AND seq = 5")
    code, said = verify()
    assert code == 1
    assert said["loc2 1"]["wrong"] == {"seq": 1, "what": stream_checks.OTHER_CIPHERTEXT}
    assert said["loc2 1"]["heads_checked"] == 0


def test_location_that_is_no_longer_registered_cannot_be_vouched_for(both, settings):
    settings.PEERS = {}
    assert wrong() == (6, stream_checks.NOT_REGISTERED)


def test_an_epoch_begins_with_an_empty_head(both):
    start = chain.start("loc1", 2)
    head = chain.sign(chain.Head("loc1", 2, 0, start), streams.own_key())
    with connection.cursor() as cursor:
        streams.keep_head(cursor, head)
    assert verify()[0] == 0
    by_hand(
        "events_streamhead",
        f"UPDATE events_streamhead SET chain = sha256('') WHERE {OWN} AND epoch = 2",
    )
    assert wrong("loc1 2") == (0, stream_checks.HEAD_DIFFERS)


def test_many_heads_are_each_checked(databases, applier, monkeypatch):
    def passes(pen: Elsewhere) -> None:
        for number in range(12):
            pen.create(number, surname=f"P{number}")
            number_all("loc2", SEEDS["loc2"])

    monkeypatch.setattr(streams, "PAGE", 4)
    for run in stream_of(databases, "loc2", passes):
        applier.apply(run)
    kept = StreamHead.objects.filter(origin="loc2").count()
    assert kept >= 3
    code, said = verify()
    assert (code, said["loc2 1"]["heads_checked"]) == (0, kept)
    first = StreamHead.objects.filter(origin="loc2").order_by("seq").values_list("seq")[0][0]
    by_hand(
        "events_streamhead",
        "UPDATE events_streamhead SET signature = sha512('') WHERE seq = %s",
        [first],
    )
    assert wrong() == (first, stream_checks.HEAD_NOT_SIGNED)


def test_looking_writes_nothing_and_pages_are_small(both, monkeypatch):
    seen: list[int] = []
    monkeypatch.setattr(stream_checks, "PAGE", 2)
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    for stream in stream_checks.streams_here():
        assert stream_checks.first_wrong(stream, seen.append) is None
    assert seen == [1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 6]
