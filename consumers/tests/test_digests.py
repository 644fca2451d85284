"""Two locations whose rows differ at equal numbers: found, named by bucket, healed from the log."""

from __future__ import annotations

from functools import reduce
from hashlib import sha256
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import connection

from consumers.digests import DIFFER, NOT_COMPARED, REBUILT, DigestKeeper
from consumers.errors import PeerFailed
from consumers.tests.origins import Elsewhere, number_all, person, three_people_of
from consumers.tests.test_rebuild import LAMP, offer, places, standing, stream
from events import contacts, digest, streams
from events.contacts import Said
from events.digest import BUCKETS, Digest, compared_tables, take
from events.genesis import genesis_version
from events.rebuilding import Selection, rebuild_all
from events.registry import event_types
from events.status import sync_status
from tests.by_hand import by_hand, owner_url

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.feature("S06")]


class Loc2:
    """The other location: all it ever gives is what its buckets sum to."""

    def __init__(self, said: Digest) -> None:
        self.said, self.asked = said, 0
        self.fails = False

    def buckets(self) -> tuple[dict[str, list[int]], bytes]:
        self.asked += 1
        if self.fails:
            raise PeerFailed("status 404")
        return self.said.heads, self.said.buckets

    def close(self) -> None: ...

    def beats(self) -> None:
        """Let its heartbeat come."""
        heads = {
            origin: {
                "epoch": 1,
                "seq": seq,
                "chain": (streams.chain_at(origin, 1, seq) or b"").hex(),
            }
            for origin, (_, seq) in self.said.heads.items()
        }
        capabilities = {"genesis": genesis_version(), "event_types": event_types()}
        said = Said(heads, self.said.value, self.said.heads, 0, capabilities)
        contacts.note("loc2", said, 0)


class Lines(list[tuple[str, dict[str, Any]]]):
    """What was logged."""

    def note(self, event: str, **fields: Any) -> None:
        self.append((event, fields))

    info = warning = error = note


@pytest.fixture(autouse=True)
def _patient(monkeypatch):
    """However slow the machine is, loc2 has spoken a moment ago."""
    monkeypatch.setattr("events.status.SILENCE_SECONDS", 600.0)


@pytest.fixture
def lines(monkeypatch) -> Lines:
    lines = Lines()
    monkeypatch.setattr("consumers.digests.log", lines)
    return lines


@pytest.fixture
def loc2(databases, applier) -> Loc2:
    """Both have the same events of loc2 and loc3, and the same rows."""
    applier.apply(three_people_of(databases, "loc3")[0])
    applier.apply(stream(offer(1, LAMP), offer(2, UUID(int=104))))
    loc2 = Loc2(take())
    loc2.beats()
    return loc2


@pytest.fixture
def keeper(loc2) -> DigestKeeper:
    return DigestKeeper({"loc2": loc2}.__getitem__)


def look(keeper: DigestKeeper, times: int = 2) -> None:
    for _ in range(times):
        keeper._not_before = 0
        keeper.step()


def state() -> str:
    return next(p["state"] for p in sync_status()["peers"] if p["location"] == "loc2")


def bucket(uid: UUID) -> int:
    return uid.int % BUCKETS


def test_equal_digests_ask_nothing(keeper, loc2, lines):
    look(keeper, 4)
    assert (loc2.asked, lines, state()) == (0, [], "equal")


UPDATE = 'UPDATE customers_entitydetail SET value = \'{"value": "Eve"}\''


def test_trap_40_manual_update_here_is_found_and_healed(keeper, loc2, lines):
    before = standing()
    by_hand("customers_entitydetail", f"{UPDATE} WHERE entity_uid = %s", [person(1)])
    look(keeper)
    assert lines[0] == (DIFFER, {"peer": "loc2", "buckets": [bucket(person(1))]})
    event, said = lines[1]
    assert (event, said["differing"]) == (REBUILT, 1)
    assert said["rows"] == {"customers_entitydetail": 2}
    assert standing() == before
    assert take() == loc2.said
    assert contacts.own_digest()[0] == loc2.said.value
    assert state() == "equal"
    look(keeper, 3)
    assert (loc2.asked, len(lines)) == (1, 2)


def test_trap_40_manual_update_there_changes_nothing_here_and_the_alarm_stays(keeper, loc2, lines):
    look(keeper)
    right = loc2.said
    by_hand("customers_entitydetail", f"{UPDATE} WHERE entity_uid = %s", [person(2)])
    loc2.said = take()
    rebuild_all(Selection())
    before = places()
    loc2.beats()
    look(keeper, 5)
    assert lines[0] == (DIFFER, {"peer": "loc2", "buckets": [bucket(person(2))]})
    assert lines[1][1]["differing"] == 0
    assert (loc2.asked, len(lines)) == (1, 2), "once for these two digests"
    assert places() == before, "nothing is copied from a peer"
    assert state() == "unequal"
    loc2.said = right  # it has folded its own again
    loc2.beats()
    look(keeper)
    assert state() == "equal"


def xor() -> int:
    """Return what a XOR of all rows' hashes would see."""
    hashes = []
    for table in compared_tables():
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT (to_jsonb(t) - 'is_current')::text FROM {table} t")
            hashes += [sha256(row.encode()).digest() for (row,) in cursor.fetchall()]
    return reduce(lambda a, b: a ^ b, (int.from_bytes(each, "big") for each in hashes), 0)


def test_trap_41_corruptions_that_cancel_out_under_xor(keeper, loc2, lines):
    """One wrong row that stands twice: to a XOR it is not there at all."""
    before, seen = standing(), xor()
    with psycopg.connect(owner_url()) as owner:
        constraints = owner.execute(
            "SELECT conname FROM pg_constraint WHERE conrelid = 'sample_offer'::regclass"
            " AND contype IN ('p', 'x')"
        ).fetchall()
        for (name,) in constraints:
            owner.execute(f"ALTER TABLE sample_offer DROP CONSTRAINT {name}")
        owner.execute("DROP INDEX sample_offer_one_current")
    by_hand(
        "sample_offer",
        "INSERT INTO sample_offer (entity_uid, valid_from, event_id, hashdiff, title)"
        " SELECT entity_uid, valid_from, event_id, hashdiff, 'Rogue' FROM sample_offer,"
        " generate_series(1, 2) WHERE entity_uid = %s",
        [LAMP],
    )
    assert xor() == seen
    look(keeper)
    assert lines[0] == (DIFFER, {"peer": "loc2", "buckets": [bucket(LAMP)]})
    assert lines[1][1]["rows"] == {"sample_offer": 2}
    assert standing() == before
    assert state() == "equal"


def test_trap_41_rows_that_change_places(keeper, loc2, lines):
    """Two entities hold each other's values: each table's values are all there still."""
    before = standing()
    by_hand(
        "customers_entitydetail",
        "UPDATE customers_entitydetail t SET value = o.value, hashdiff = o.hashdiff"
        " FROM customers_entitydetail o WHERE t.detail_code = 'surname'"
        " AND o.detail_code = 'surname' AND t.entity_uid <> o.entity_uid"
        " AND t.entity_uid = ANY(%s) AND o.entity_uid = ANY(%s)",
        [[person(1), person(2)]] * 2,
    )
    look(keeper)
    assert lines[0][1]["buckets"] == sorted({bucket(person(1)), bucket(person(2))})
    assert standing() == before
    assert state() == "equal"


def test_trap_41_every_row_of_one_bucket_alone_is_folded(keeper, loc2, lines):
    by_hand("customers_entitydetail", f"{UPDATE} WHERE entity_uid = %s", [person(1)])
    look(keeper)
    assert lines[1][1]["entities"] == 1, "the others were not read"


def test_positions_that_have_moved_on_are_not_compared(keeper, loc2, lines):
    by_hand("customers_entitydetail", UPDATE)
    loc2.said = digest.Digest(loc2.said.value, {**loc2.said.heads, "loc3": [1, 4]}, True,
                              loc2.said.buckets)  # fmt: skip
    look(keeper)
    assert lines == []
    loc2.beats()
    look(keeper)
    assert (loc2.asked, lines) == (1, []), "its heartbeat was of other numbers by then"


def test_release_that_has_no_such_route_is_asked_seldom(keeper, loc2, lines):
    loc2.fails = True
    by_hand("customers_entitydetail", UPDATE)
    look(keeper, 5)
    assert lines == [(NOT_COMPARED, {"peer": "loc2", "reason": "status 404"})]
    assert state() == "unequal"
    loc2.fails = False
    keeper._ask_at.clear()
    look(keeper)
    assert state() == "equal"


def test_own_write_that_has_no_number_yet_is_not_compared(keeper, loc2, lines):
    pen = Elsewhere("loc1", begin=1_900_000_000_000_000)
    pen.create(9, surname="Own")
    look(keeper)
    assert (loc2.asked, lines) == (0, [])
    number_all("loc1", streams.own_key())
    look(keeper)
    assert (loc2.asked, lines) == (0, [])
