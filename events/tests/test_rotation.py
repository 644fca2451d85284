"""A location changes its key: step by step, and never so that its signature is not believed."""

from __future__ import annotations

import base64
import json
import stat
import threading
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from events import chain, contacts, locations, membership, recovery, rotation, streams, vouching
from events.chain import Head
from events.contacts import Said
from events.errors import EndedKey
from events.location_keys import Key, keys_from_json
from events.locations import KEY_ADDED
from events.models import Event, Location
from events.sequencer import Sequencer
from events.streams import own_head, own_key
from events.tests.test_locations import elsewhere, public
from tests.environment import test_key
from tests.replaying import assert_replay_is_live

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.feature("S10")]

OLD = base64.b64decode(test_key("location key of loc1"))


@pytest.fixture(autouse=True)
def peers(settings) -> None:
    settings.PEERS = {
        name: {"url": f"https://{name}.example", "public_key": public(name)}
        for name in ("loc2", "loc3")
    }


def run(*arguments: str) -> tuple[int, str]:
    """Return the exit code of ``location rotate-key`` and what it printed."""
    out = StringIO()
    try:
        call_command("location", "rotate-key", *arguments, stdout=out)
    except SystemExit as exc:
        return int(exc.code or 0), out.getvalue()
    except CommandError as exc:
        return exc.returncode, str(exc)
    return 0, out.getvalue()


def sequence() -> None:
    """Run a sequencer with the present key over what waits."""
    sequencer = Sequencer("loc1", own_key(), threading.Event())
    try:
        while sequencer.step():
            pass
    finally:
        sequencer.close()


def knows(name: str, seq: int | None = None, event_type: str = KEY_ADDED) -> None:
    """Let a peer say that it has this location's stream up to a number; all of it if None."""
    own = streams.positions()["loc1"]
    number = own.seq if seq is None else seq
    said = {"loc1": {"epoch": own.epoch, "seq": number, "chain": ""}}
    contacts.note(name, Said(said, "", {}, 0, {"event_types": {event_type: 1}}), 0)


def take_into_use(path: Path, settings: Any) -> bytes:
    settings.LOCATION_KEY = path.read_text().strip()
    return own_key()


@pytest.fixture
def announced(tmp_path) -> Path:
    """A new key that every peer knows of."""
    path = tmp_path / "key"
    assert run("--out", str(path))[0] == 0
    sequence()
    knows("loc2")
    knows("loc3")
    return path


def signed(seed: bytes, seq: int) -> Head:
    return chain.sign(Head("loc1", 1, seq, b"c" * 32), seed)


def newest_head() -> Head:
    with connection.cursor() as cursor:
        return own_head(cursor, "loc1")


def test_step_by_step(announced, settings):
    status, said = run()
    assert status == 0
    assert "known to every peer" in said
    assert "LOCATION_KEY" in said
    new = take_into_use(announced, settings)
    assert run("--finish")[1] == "key: does not sign yet: restart run_sequencer with it"
    sequence()
    assert chain.is_signed_by(newest_head(), chain.public_key(new))
    assert "--finish" in run()[1]
    last = streams.positions()["loc1"].seq

    status, said = run("--finish")
    assert status == 0
    assert "has ended" in said
    sequence()
    assert locations.is_signed(signed(OLD, last))
    assert not locations.is_signed(signed(OLD, last + 1))
    assert locations.is_signed(signed(new, last + 1))
    assert locations.is_signed(newest_head())
    assert not locations.is_signature_of("loc1", chain.signature_of(b"x", OLD), b"x")
    assert locations.is_signature_of("loc1", chain.signature_of(b"x", new), b"x")
    assert run("--finish") == (0, f"There is no old key to end. {fp(new)} signs.\n")
    assert_replay_is_live()


def fp(seed: bytes) -> str:
    return Key(chain.public_key(seed)).fingerprint


def test_the_new_key_stands_in_a_file_of_its_owner_and_nowhere_else(tmp_path, caplog):
    path = tmp_path / "key"
    status, said = run("--out", str(path), "--json")
    text = path.read_text().strip()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert status == 0
    assert json.loads(said)["newest"] == fp(base64.b64decode(text))
    assert text not in said + caplog.text
    assert all(text.encode() not in bytes(each.raw) for each in Event.objects.all())
    ((keys,),) = Location.objects.filter(location="loc1", valid_to=None).values_list("public_keys")
    assert {key["key"] for key in keys} == {
        base64.b64encode(chain.public_key(seed)).decode()
        for seed in (OLD, base64.b64decode(text))
    }  # fmt: skip


def test_the_old_key_proves_the_new_one(announced, settings):
    new = base64.b64decode(announced.read_text())
    said = vouching.statement(own_key())["keys"]["loc1"]
    settings.LOCATION_ID = "loc9"
    settings.PEERS = {"loc1": {"url": "", "public_key": base64.b64encode(
        chain.public_key(OLD)).decode()}}  # fmt: skip
    proven = [key for key in keys_from_json(said) if key.proof]
    old = Key.from_text(settings.PEERS["loc1"]["public_key"])
    assert [key.value for key in proven] == [chain.public_key(new)]
    assert old.has_proven("loc1", proven[0])
    assert not old.has_proven("loc2", proven[0])


def test_it_waits_for_every_peer_that_takes_part(tmp_path):
    assert run("--out", str(tmp_path / "key"))[0] == 0
    assert run()[0] == 1, "it has no number yet"
    sequence()
    knows("loc2")
    knows("loc3", seq=0)
    status, said = run()
    assert status == 1
    assert "Not known yet to: loc3." in said
    knows("loc3", event_type="customers.entity_created")
    assert json.loads(run("--json")[1])["waiting_for"] == ["loc3"], "an older release"
    assert run("--finish")[0] == 2
    call_command("location", "retire", "loc3")
    assert run()[0] == 0


def test_it_is_not_finished_with_the_old_key_nor_before_all_know(announced, settings):
    assert run("--finish") == (2, f"LOCATION_KEY: is not the announced key {fp_of(announced)}")
    take_into_use(announced, settings)
    sequence()
    knows("loc2", seq=0)
    assert run("--finish") == (2, "key: not known yet to loc2")
    assert len(locations.known()["loc1"].present_keys) == 2


def fp_of(path: Path) -> str:
    return fp(base64.b64decode(path.read_text()))


def test_the_old_key_entered_anew_elsewhere_does_not_become_the_newest(announced, settings):
    """A location that was cut off meanwhile has entered what it knew of this one."""
    elsewhere(locations.uid_of("loc1"), membership.key_groups([Key(chain.public_key(OLD))]))
    assert rotation.standing().newest.fingerprint == fp_of(announced)
    take_into_use(announced, settings)
    sequence()
    assert run("--finish")[0] == 0
    assert [key.fingerprint for key in locations.known()["loc1"].present_keys] == [fp_of(announced)]


def test_one_change_at_a_time_and_no_file_is_overwritten(announced, tmp_path):
    other = tmp_path / "other"
    assert run("--out", str(other)) == (2, "key: another one is announced already")
    assert not other.exists()
    before = announced.read_text()
    assert run("--out", str(announced))[0] == 2
    assert announced.read_text() == before
    assert run("--out", str(tmp_path / "nowhere" / "key"))[0] == 2


def test_no_more_keys_than_can_be_told(tmp_path, monkeypatch):
    monkeypatch.setattr(rotation, "MOST_KEYS", 1)
    assert run("--out", str(tmp_path / "key"))[1] == (
        "key: this location has had 1, and that is the most"
    )


def test_without_a_change_under_way_there_is_nothing_to_tell():
    assert run()[0] == 2
    assert run("--finish")[0] == 0
    assert not Event.objects.exclude(origin="genesis").exists()


def test_nobody_numbers_or_asks_with_a_key_that_has_ended(announced, settings):
    take_into_use(announced, settings)
    sequence()
    assert run("--finish")[0] == 0
    settings.LOCATION_KEY = base64.b64encode(OLD).decode()
    with pytest.raises(EndedKey):
        sequence()
    for process in ("run_sequencer", "consume_events"):
        with pytest.raises(CommandError, match="LOCATION_KEY has ended") as refused:
            call_command(process)
        assert refused.value.returncode == 2
    take_into_use(announced, settings)
    sequence()
    assert locations.is_signed(newest_head())


def test_a_second_change_and_former_epochs(announced, settings, tmp_path):
    first = own_key()
    second = take_into_use(announced, settings)
    sequence()
    assert run("--finish")[0] == 0
    sequence()
    recovery.begin()
    recovery.finish(second)
    third_file = tmp_path / "third"
    assert run("--out", str(third_file))[0] == 0
    sequence()
    knows("loc2")
    knows("loc3")
    third = take_into_use(third_file, settings)
    sequence()
    assert run("--finish")[0] == 0
    own = streams.positions()["loc1"]
    assert (own.epoch, own.older[0].epoch) == (2, 1)
    ends = {key.value: key.until for key in locations.known()["loc1"].keys}
    assert ends[chain.public_key(second)] == {1: own.older[0].seq, 2: own.seq}
    assert ends[chain.public_key(third)] is None
    assert (ends[chain.public_key(first)] or {}).keys() == {1}
    call_command("verify_chain", stdout=StringIO())
