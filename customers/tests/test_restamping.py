"""A clock that was decades ahead, and the records it stamped."""

from __future__ import annotations

import json
from uuid import UUID, uuid4

import pytest
from django.core.management import call_command

from accounts.authors import now_us
from customers import commands, queries
from events import heads
from events.drafting import Author
from events.restamping import ahead, restamp
from tests.replaying import assert_replay_is_live

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.feature("S04")]

NOW = now_us()
DECADES = 70 * 365 * 86_400_000_000


def by(now: int) -> Author:
    return Author(None, "loc1", now, "request-clock")


def last_ts(uid: UUID) -> int:
    return heads.read([uid])[uid].memo.last_ts


@pytest.fixture
def ann(db) -> UUID:
    """Entered rightly, changed by a clock that was ahead, then changed again by a right one."""
    uid, _ = commands.create_customer({"surname": "Ann", "phone": "0700112233"}, by(NOW - 9))
    commands.change_customer(uid, {"surname": "Anna"}, by(NOW + DECADES))
    commands.change_customer(uid, {"email": "a@example.org"}, by(NOW - 5))
    assert last_ts(uid) > NOW + DECADES, "what rests on it is later still"
    return uid


def test_trap_21_values_stay_and_stamps_are_right_again(ann):
    [event] = restamp(ann, by(NOW))
    assert len(event.voids) == 2
    assert queries.get(ann).values == {
        "surname": "Anna",
        "phone": "0700112233",
        "email": "a@example.org",
    }
    assert last_ts(ann) == NOW
    commands.change_customer(ann, {"surname": "Anne"}, by(NOW + 5))
    assert last_ts(ann) == NOW + 5
    assert_replay_is_live()


def test_what_is_right_is_left_alone(ann):
    other, _ = commands.create_customer({"surname": "Bo"}, by(NOW))
    assert list(ahead(NOW)) == [ann]
    restamp(ann, by(NOW))
    assert list(ahead(NOW)) == []
    assert restamp(ann, by(NOW + 1)) == []
    assert last_ts(other) == NOW


def test_a_record_that_was_entered_or_deleted_then(db):
    entered, _ = commands.create_customer({"surname": "New"}, by(NOW + DECADES))
    deleted, _ = commands.create_customer({"surname": "Old"}, by(NOW - 5))
    commands.delete_customer(deleted, by(NOW + DECADES))
    for uid in (entered, deleted):
        restamp(uid, by(NOW))
        assert last_ts(uid) == NOW
    assert queries.get(entered).values == {"surname": "New"}
    assert queries.get(deleted).is_deleted
    assert_replay_is_live()


def test_command(ann, capsys):
    with pytest.raises(SystemExit) as ended:
        call_command("restamp", "--dry-run", "--json")
    assert ended.value.code == 1
    said = json.loads(capsys.readouterr().out)
    assert said == {"dry_run": True, "entity_uids": [str(ann)], "left": {}}
    call_command("restamp")
    assert "1 have a right stamp now" in capsys.readouterr().out
    call_command("restamp")
    assert last_ts(ann) < NOW + DECADES


def test_a_record_nobody_knows(db):
    with pytest.raises(KeyError):
        restamp(uuid4(), by(NOW))
