from __future__ import annotations

import json
import re

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection

from consumers.tests.origins import (
    Elsewhere,
    number_all,
    three_people_of,
)
from events import contacts, recovery, streams
from events.contacts import Said
from events.digest import take
from events.genesis import genesis_version
from events.registry import event_types
from events.status import summary, sync_status

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.feature("S06")]


def says(location: str, digest: str = "", offset: int | None = 3, **heads: int) -> None:
    """Let a peer say it has these numbers, with the chain values that are here."""
    said = {}
    for origin, seq in heads.items():
        value = streams.chain_at(origin, 1, seq) or b"?"
        said[origin] = {"epoch": 1, "seq": seq, "chain": value.hex()}
    numbers = {origin: [1, seq] for origin, seq in heads.items() if seq} if digest else {}
    capabilities = {"genesis": genesis_version(), "event_types": event_types()}
    contacts.note(location, Said(said, digest, numbers, 0, capabilities), offset)


@pytest.fixture
def both(databases, applier):
    """Five events of our own and five of loc2."""
    runs = three_people_of(databases)
    pen = Elsewhere("loc1")
    for number in range(11, 16):
        pen.create(number, surname="Own")
    number_all("loc1", streams.own_key())
    applier.apply(runs[0])
    contacts.note_digest(take())
    return contacts.own_digest()[0]


def peer(name: str = "loc2") -> dict:
    return next(p for p in sync_status()["peers"] if p["location"] == name)


def test_shape(both):
    says("loc2", both, loc1=5, loc2=5)
    status = sync_status()
    assert list(status) == [
        "location", "state", "epoch", "is_recovering", "seq", "digest", "lag_events",
        "unreplicated", "oldest_unreplicated_seconds", "peers", "dead_letters", "parked",
        "conflicts", "stuck"
    ]  # fmt: skip
    assert (status["location"], status["epoch"], status["seq"]) == ("loc1", 1, 5)
    assert status["digest"] == both
    assert (status["state"], status["lag_events"]) == ("unreachable", 0)
    two, three = status["peers"]
    assert two["last_contact_at"]
    assert 0 <= two.pop("last_contact_seconds") < 60
    two.pop("last_contact_at")
    assert two == {
        "location": "loc2", "reachable": True, "their_seq": 5, "applied_seq": 5, "lag_events": 0,
        "acknowledged_seq": 5, "digest": both, "state": "equal", "clock_offset_ms": 3}  # fmt: skip
    assert (three["state"], three["reachable"]) == ("unknown", False)
    json.dumps(status)


def test_equal(both):
    says("loc2", both, loc1=5, loc2=5)
    says("loc3", both, loc1=5, loc2=5)
    assert summary() == {
        "state": "equal", "label_events": 0, "lag_events": 0, "unreplicated": 0}  # fmt: skip


def test_equal_after_a_restore_even_before_the_first_write(both):
    recovery.begin()
    assert recovery.finish(streams.own_key())
    says("loc2", both, loc1=5, loc2=5)
    assert sync_status()["epoch"] == 2
    assert peer()["state"] == "equal"


def test_catching_up(both):
    says("loc2", "other", loc1=3, loc2=9)
    says("loc3", both, loc1=5, loc2=5)
    assert peer()["lag_events"] == 4
    assert peer()["state"] == "catching up"
    assert summary()["state"] == "catching up"
    assert summary()["lag_events"] == 4


def test_unequal_at_equal_positions(both):
    says("loc2", "f" * 32, loc1=5, loc2=5)
    assert peer()["state"] == "unequal"
    assert summary()["state"] == "unequal"


def test_another_release_is_not_compared(both):
    says("loc2", "f" * 32, loc1=5, loc2=5)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE events_peercontact SET capabilities = '{}' WHERE location = 'loc2'")
    assert peer()["state"] == "unknown"


def test_other_chain_under_one_number_is_unequal(both):
    says("loc2", both, loc1=5, loc2=5)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE events_peercontact SET heads = jsonb_set(heads, '{loc1,chain}', '\"00\"')"
            " WHERE location = 'loc2'"
        )
    assert peer()["state"] == "unequal"


def test_stopped_stream_is_unequal(both):
    says("loc2", both, loc1=5, loc2=5)
    streams.stop("loc2", 1, "fork")
    assert peer()["state"] == "unequal"


def test_unreachable(both):
    says("loc2", both, loc1=5, loc2=5)
    says("loc3", both, loc1=5, loc2=5)
    contacts.note_failure("loc3", "ConnectError")
    assert not peer("loc3")["reachable"]
    assert peer("loc3")["state"] == summary()["state"] == "unreachable"
    says("loc3", both, offset=None, loc1=5, loc2=5)  # it called us: we cannot call it yet
    assert not peer("loc3")["reachable"]
    contacts.note_heads("loc3", {})
    assert peer("loc3")["reachable"]


def test_silence_is_not_reachable(both):
    says("loc2", both, loc1=5, loc2=5)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE events_peercontact SET last_contact_at = now() - interval '1 min'")
    assert not peer()["reachable"]
    assert peer()["last_contact_seconds"] >= 60


def test_unreplicated_is_what_no_peer_has(both):
    assert sync_status()["unreplicated"] == 5
    assert sync_status()["oldest_unreplicated_seconds"] is not None
    says("loc2", loc1=2)
    says("loc3", loc1=4)
    assert sync_status()["unreplicated"] == 1
    Elsewhere("loc1", begin=1_900_000_000_000_000).change(11, phone="5")  # without a number yet
    assert sync_status()["unreplicated"] == 2
    number_all("loc1", streams.own_key())
    says("loc3", loc1=6)
    assert sync_status()["unreplicated"] == 0
    assert sync_status()["oldest_unreplicated_seconds"] is None


def test_alone(both, settings):
    settings.PEERS = {}
    assert summary()["state"] == "local only"
    assert sync_status()["unreplicated"] == 0


def test_summary_asks_little(both, django_assert_max_num_queries):
    says("loc2", both, loc1=5, loc2=5)
    with django_assert_max_num_queries(5):
        summary()


def test_command(both, capsys):
    for name in ("loc2", "loc3"):
        says(name, both, loc1=5, loc2=5)
    call_command("sync_status", "--json")
    assert json.loads(capsys.readouterr().out)["digest"] == both
    call_command("sync_status")
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"loc1  equal, 5 events in epoch 1, digest {both}"
    assert "  only here: 0 events" in said
    assert said[5].startswith("location  reached")
    assert re.fullmatch(
        rf"loc2 +\d+\.\d s ago +equal +5 of 5 +5 of 5 +{both} +3 ms", said[6]
    ), said[6]  # fmt: skip


def exit_code() -> int:
    try:
        call_command("sync_status", "--json")
    except SystemExit as exc:
        return int(exc.code or 0)
    return 0


def test_exit_code_says_whether_all_hold_the_same(both, capsys, settings):
    says("loc2", both, loc1=5, loc2=5)
    assert exit_code() == 1, "loc3 has not been heard of"
    says("loc3", both, loc1=5, loc2=5)
    assert exit_code() == 0
    says("loc3", "f" * 32, loc1=5, loc2=5)
    assert exit_code() == 1, "loc3 holds other records"
    says("loc3", both, loc1=4, loc2=5)
    assert exit_code() == 1, "loc3 is behind"
    settings.PEERS = {}
    assert exit_code() == 0, "nobody to be equal to"


def test_database_that_is_away_is_a_sentence(both, monkeypatch):
    def is_away(**_: object) -> None:
        raise OperationalError("connection refused, with an address in it")

    monkeypatch.setattr("events.management.commands.sync_status.sync_status", is_away)
    with pytest.raises(CommandError, match=r"^The database does not answer\.$") as failed:
        call_command("sync_status")
    assert failed.value.returncode == 2
