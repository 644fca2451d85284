"""A location that lost its database comes back from a backup, and from its peers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from ops.databases import DatabaseUrls
from ops.demo.places import LOCATIONS
from tests.databases import TestDatabases
from tests.locations import (
    CHECKOUT,
    Location,
    Locations,
    serves,
    wait_until,
)

pytestmark = [pytest.mark.feature("R08"), pytest.mark.feature("S06")]

SECONDS = 60


def enter(location: Location, surname: str) -> str:
    with location.api() as api:
        answer = api.post("/customers", json={"entity_uid": str(uuid4()), "surname": surname})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["entity_uid"])


def surname_of(location: Location, uid: str) -> str | None:
    with location.api() as api:
        answer = api.get(f"/customers/{uid}")
    return answer.json()["surname"] if answer.status_code == 200 else None


def backup(
    word: str, directory: Path, location: str, database: DatabaseUrls
) -> subprocess.CompletedProcess[str]:
    told = {"LOCATION_ID": location, "DATABASE_OWNER_URL": database.owner}
    return subprocess.run(
        [sys.executable, "-m", "ops.backup", word, str(directory)],
        cwd=CHECKOUT, env={**os.environ, **told}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def loss_and_restore(
    locations: Locations, databases: TestDatabases, directory: Path
) -> tuple[list[str], int]:
    """Restore loc1 as it was before its last writes; return all it entered, and its last number.

    One of them had no number yet when the backup was taken, and got one before the loss.
    """
    one = locations["loc1"]
    uids = [enter(one, "Before")]
    locations.wait_until_equal()
    one.programs["sequencer"].stop()
    uids.append(enter(one, "Unnumbered"))
    done = backup("save", directory, "loc1", one.database)
    assert done.returncode == 0, done.stderr
    assert directory.stat().st_mode & 0o077 == 0
    locations.start_program(one, "sequencer")
    uids += [enter(one, f"Lost {number}") for number in range(5)]
    locations.wait_until_equal()
    numbers = one.heads()["loc1"][0]
    for program in one.programs.values():
        program.stop()
    databases.empty(one.database)
    done = backup("restore", directory, "loc1", one.database)
    assert done.returncode == 0, done.stderr
    return uids, numbers


def test_trap_30_restored_location_gets_its_own_writes_back_and_goes_on(
    locations: Locations, databases: TestDatabases, tmp_path: Path
) -> None:
    one, two = locations["loc1"], locations["loc2"]
    uids, numbers = loss_and_restore(locations, databases, tmp_path / "backup")
    elsewhere = enter(two, "Elsewhere")
    locations.start_program(one, "web")
    wait_until(lambda: serves(one), SECONDS, "pages work")
    known = [surname_of(one, uid) for uid in uids]
    assert known == ["Before", "Unnumbered", *[None] * 5]
    assert_read_only(one)

    for name in ("sequencer", "consumer"):
        locations.start_program(one, name)
    wait_until(lambda: not one.status()["is_recovering"], SECONDS, "writes again")
    assert [surname_of(one, uid) for uid in uids] == [surname_of(two, uid) for uid in uids]
    after = enter(one, "After")
    locations.wait_until_equal()
    counts = one.rows(
        "SELECT epoch, count(*), count(DISTINCT event_id) FROM events_eventnumber"
        " WHERE origin = 'loc1' GROUP BY epoch ORDER BY epoch"
    )
    assert counts == [(1, numbers, numbers), (2, 1, 1)], "no event has two numbers"
    for name in LOCATIONS:
        assert surname_of(locations[name], after) == "After"
        assert surname_of(locations[name], elsewhere) == "Elsewhere"
    assert len(set(locations.digests())) == 1
    wait_until(lambda: all(states(x) == ["equal"] * 2 for x in locations.all.values()), SECONDS)


@pytest.mark.parametrize(
    ("locations", "count"), [("none", 9), ("broker", 2)], indirect=["locations"]
)
def test_trap_30_location_that_wrote_before_it_noticed_loses_nothing(
    locations: Locations, databases: TestDatabases, tmp_path: Path, count: int
) -> None:
    """Cut off, it gives numbers to new events that its peers know for others."""
    one, two = locations["loc1"], locations["loc2"]
    uids, _ = loss_and_restore(locations, databases, tmp_path / "backup")
    with psycopg.connect(one.database.owner, autocommit=True) as connection:
        connection.execute("DELETE FROM events_recovery")  # as if by another tool than ours
    for name in ("web", "sequencer"):
        locations.start_program(one, name)
    wait_until(lambda: serves(one), SECONDS, "pages work")
    uids += [enter(one, f"Unnoticed {number}") for number in range(count)]
    wait_until(lambda: one.heads()["loc1"][0] == 2 + count, SECONDS, "numbered")

    locations.start_program(one, "consumer")
    wait_until(lambda: one.status()["epoch"] == 2, SECONDS, "writes again")
    uids.append(enter(one, "After"))
    locations.wait_until_equal()
    for name in LOCATIONS:
        assert [surname_of(locations[name], uid) for uid in uids] == [
            "Before", "Unnumbered", *(f"Lost {n}" for n in range(5)),
            *(f"Unnoticed {n}" for n in range(count)), "After",
        ]  # fmt: skip
    once = "SELECT count(*), count(DISTINCT event_id), max(epoch) FROM events_eventnumber"
    assert one.rows(once) == two.rows(once) == [(len(uids), len(uids), 2)]
    assert len(set(locations.digests())) == 1
    wait_until(lambda: all(states(x) == ["equal"] * 2 for x in locations.all.values()), SECONDS)


def assert_read_only(location: Location) -> None:
    with location.api() as api:
        answer = api.post("/customers", json={"surname": "Refused"})
        ready = api.get(f"{location.url}/readyz").json()
    assert answer.status_code == 503
    assert "restored" in answer.json()["detail"]
    assert answer.headers["Retry-After"]
    assert "restored: no writes until its own are back" in ready["degraded"]
    assert location.status()["is_recovering"]


def states(location: Location) -> list[str]:
    return [peer["state"] for peer in location.status()["peers"]]


def test_trap_32_a_backup_is_restored_whole_to_its_location_into_an_empty_database(
    databases: TestDatabases, fresh_database: DatabaseUrls, tmp_path: Path
) -> None:
    target, records = tmp_path / "backup", tmp_path / "backup" / "records.dump"

    def says(word: str, location: str = "loc1") -> str:
        done = backup(word, target, location, fresh_database)
        return done.stdout if done.returncode == 0 else f"{done.returncode} {done.stderr}"

    assert "1" in says("restore")[:1], "there is none yet"
    assert says("save") == f"loc1 is saved to {target}.\n"
    assert "exists" in says("save")
    assert "is not empty" in says("restore")
    databases.empty(fresh_database)
    assert "1 This is a backup of loc1" in says("restore", "loc2")
    whole = records.read_bytes()
    records.write_bytes(whole[:-1])
    assert "is damaged" in says("restore")
    records.write_bytes(whole)
    assert says("restore") == f"loc1 is restored from {target}.\n"
