"""Locations come, go and change their keys, while all others write and nobody is restarted."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from accounts.authors import now_us
from consumers import signing
from consumers.signing import Call
from events import chain
from ops.demo.places import LOCATIONS
from tests.databases import TestDatabases
from tests.locations import (
    Location,
    Locations,
    public_key,
    wait_until,
)
from tests.test_restore import loss_and_restore, states, surname_of

pytestmark = [pytest.mark.feature("S07"), pytest.mark.feature("S06")]

SECONDS = 90
PAUSE_SECONDS = 0.05  # what is to be measured is not how much they can write


class Writing:
    """Somebody who enters customers at a location, one after the other, until told to stop."""

    def __init__(self, location: Location) -> None:
        self._location = location
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write)
        self.entered: list[str] = []
        self.refused: list[str] = []

    def __enter__(self) -> Writing:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _write(self) -> None:
        with self._location.api() as api:
            while not self._stop.wait(PAUSE_SECONDS):
                uid = str(uuid4())
                values = {"entity_uid": uid, "surname": f"Number {len(self.entered)}"}
                try:
                    answer = api.post("/customers", json=values)
                except httpx.HTTPError as exc:
                    self.refused.append(type(exc).__name__)
                    continue
                (self.entered if answer.status_code == 201 else self.refused).append(uid)


@contextlib.contextmanager
def everybody_writing(*locations: Location) -> Iterator[list[Writing]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Writing(location)) for location in locations]


def pids(locations: Locations) -> dict[tuple[str, str], int | None]:
    return {
        (name, program): each.programs[program].pid
        for name, each in locations.all.items()
        for program in each.programs
        if name in LOCATIONS
    }


def add(where: Location, new: Location) -> dict[str, Any]:
    said = where.manage(
        "location", "add", new.name, "--url", new.url, "--public-key", public_key(new.name),
        "--json",
    )  # fmt: skip
    return json.loads(said)["PEERS"]


def assert_equal_and_whole(locations: Locations) -> None:
    locations.wait_until_equal(SECONDS)
    assert len(set(locations.digests())) == 1
    wait_until(
        lambda: all(set(states(each)) == {"equal"} for each in locations.all.values()), SECONDS,
        lambda: str({name: states(each) for name, each in locations.all.items()}),
    )  # fmt: skip
    for each in locations.all.values():
        each.manage("verify_chain")
        assert each.rows("SELECT reason FROM events_deadletter") == [], each.name
        assert each.rows("SELECT * FROM events_conflict") == []


@pytest.mark.parametrize(
    ("locations", "where"), [("none", "loc1"), ("broker", "loc2")], indirect=["locations"]
)
def test_trap_33_a_new_location_joins_while_the_others_write(
    locations: Locations, where: str
) -> None:
    """It knows loc1 alone, whose stream says nothing of it where it was entered at loc2."""
    one, four = locations["loc1"], locations.create("loc4")
    before = pids(locations)
    with everybody_writing(*locations.all.values()) as writers:
        wait_until(lambda: all(len(each.entered) > 20 for each in writers), SECONDS)
        printed = add(locations[where], four)
        assert list(printed) == [where]
        seed = {"loc1": {"url": one.url, "public_key": public_key("loc1")}}
        locations.join(four, printed if where == "loc1" else seed)
        wait_until(lambda: len(four.status()["peers"]) == 3, SECONDS, "it learns of all")
        known = [len(each.entered) for each in writers]
        wait_until(
            lambda: all(len(w.entered) > n + 20 for w, n in zip(writers, known, strict=True)),
            SECONDS,
        )
        with Writing(four) as fourth:
            wait_until(lambda: len(fourth.entered) > 5, SECONDS)
    assert [each.refused for each in (*writers, fourth)] == [[]] * 4
    assert_equal_and_whole(locations)
    assert pids(locations) == before, "nobody was restarted"
    for each in locations.all.values():
        names = {line["location"]: line for line in listed(each)}
        assert sorted(names) == [*LOCATIONS, "loc4"]
        assert all(line["fits"] for name, line in names.items() if name != each.name)
    for writer in (*writers, fourth):
        assert surname_of(four, writer.entered[-1]) == surname_of(one, writer.entered[-1])
        assert surname_of(four, writer.entered[0]) == "Number 0"


def listed(location: Location) -> list[dict[str, Any]]:
    return json.loads(location.manage("location", "list", "--json"))["locations"]


@pytest.mark.feature("R08")
@pytest.mark.parametrize("locations", ["none"], indirect=True)
def test_a_restored_location_does_not_wait_for_a_retired_one(
    locations: Locations, databases: TestDatabases, tmp_path: Path
) -> None:
    one, two, three = (locations[name] for name in LOCATIONS)
    uids, _ = loss_and_restore(locations, databases, tmp_path / "backup")
    for program in three.programs.values():
        program.stop()
    locations.restart(one)
    wait_until(lambda: surname_of(one, uids[-1]) is not None, SECONDS, "own writes are back")
    wait_until(lambda: reachable(one) == [True, False], SECONDS, "loc2 answers")
    assert one.status()["is_recovering"], "loc3 may have more"

    two.manage("location", "retire", "loc3")
    wait_until(lambda: not one.status()["is_recovering"], SECONDS, "writes again")
    assert [peer["location"] for peer in one.status()["peers"]] == ["loc2"]
    del locations.all["loc3"]
    assert_equal_and_whole(locations)
    locations.all["loc3"] = three
    assert request_of(three, one) == 403, "who is retired is not answered"


def reachable(location: Location) -> list[bool]:
    return [peer["reachable"] for peer in location.status()["peers"]]


def request_of(sender: Location, receiver: Location, seed: str = "") -> int:
    """Ask a location as another one, with its key or a given one; return the status."""
    call = Call(sender.name, receiver.name, "GET", "heads", "", now_us())
    key = base64.b64decode(seed or sender.environment["LOCATION_KEY"])
    signature = base64.b64encode(chain.signature_of(call.signed_bytes(), key)).decode()
    headers = {signing.LOCATION: sender.name, signing.DATE: str(call.date),
               signing.SIGNATURE: signature}  # fmt: skip
    return httpx.get(f"{receiver.url}/sync/heads", headers=headers, trust_env=False).status_code


@pytest.mark.feature("S10")
@pytest.mark.parametrize("locations", ["none", "broker"], indirect=True)
def test_a_key_is_changed_while_all_write(locations: Locations, tmp_path: Path) -> None:
    one, two, three = (locations[name] for name in LOCATIONS)
    old, new = one.environment["LOCATION_KEY"], tmp_path / "new-key"
    with everybody_writing(one, two, three) as writers:
        said = one.manage("location", "rotate-key", "--out", str(new))
        assert new.stat().st_mode & 0o777 == 0o600
        assert new.read_text().strip() not in said
        one.manage("location", "rotate-key", "--finish", codes=(2,))
        wait_until(
            lambda: "known to every peer" in one.manage("location", "rotate-key", codes=(0, 1)),
            SECONDS,
        )
        one.environment["LOCATION_KEY"] = new.read_text().strip()
        locations.restart(one)
        before = one.heads()["loc1"][0]
        wait_until(
            lambda: min(each.heads()["loc1"][0] for each in (two, three)) > before, SECONDS,
            "both keys are believed",
        )  # fmt: skip
        assert [each.log_lines("web", "peer_refused") for each in (two, three)] == [[], []]
        wait_until(
            lambda: "has ended" in one.manage("location", "rotate-key", "--finish", codes=(0, 2)),
            SECONDS,
        )
        ended = one.heads()["loc1"][0]
        wait_until(lambda: two.heads()["loc1"][0] > ended, SECONDS, "goes on with the new key")
        wait_until(lambda: (request_of(one, two, old), request_of(one, three, old)) == (403, 403),
                   SECONDS, "the old key opens nothing")  # fmt: skip
        assert request_of(one, two) == 200
    assert [each.refused for each in writers[1:]] == [[], []], "only loc1 was restarted"
    assert_equal_and_whole(locations)
    four = locations.create("loc4")
    locations.join(four, add(two, four))
    wait_until(lambda: len(four.status()["peers"]) == 3, SECONDS, "it learns of all")
    assert_equal_and_whole(locations)
    one.environment["LOCATION_KEY"] = old
    one.manage("run_sequencer", codes=(2,))
