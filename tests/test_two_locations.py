"""Two complete locations of real processes: with an embedded broker, with none, with Kafka."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.databases import TestDatabases
from tests.locations import Locations, running_broker, running_locations, wait_until

VISIBLE_SECONDS = {"broker": 5.0, "none": 6.0, "kafka": 6.0}  # generous: the machine is shared


@pytest.fixture(
    scope="module", params=["none", "broker", pytest.param("kafka", marks=pytest.mark.kafka)]
)
def network(
    request: pytest.FixtureRequest,
    databases: TestDatabases,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[str, Locations]]:
    """Two locations, joined by nothing but links, or by a broker as well."""
    directory: Path = tmp_path_factory.mktemp(f"two-{request.param}")
    names = ("loc1", "loc2")
    if request.param == "none":
        with running_locations(databases, names, directory) as locations:
            yield request.param, locations
    elif request.param == "broker":
        with (
            running_broker(directory / "broker") as bootstrap,
            running_locations(databases, names, directory, bootstrap=bootstrap) as locations,
        ):
            yield request.param, locations
    else:
        bootstrap = request.getfixturevalue("real_kafka").bootstrap
        with running_locations(databases, names, directory, bootstrap=bootstrap) as locations:
            yield request.param, locations


@pytest.fixture
def locations(network: tuple[str, Locations]) -> Iterator[Locations]:
    _, locations = network
    yield locations
    for name in locations.all:
        if locations[name].is_cut:
            locations.heal(name)
    locations.wait_until_equal()


@pytest.fixture
def seconds(network: tuple[str, Locations]) -> float:
    return VISIBLE_SECONDS[network[0]]


def create(locations: Locations, where: str, request_id: str = "", /, **values: str) -> str:
    with locations[where].api() as api:
        headers = {"X-Request-ID": request_id} if request_id else {}
        answer = api.post("/customers", json=values, headers=headers)
        assert answer.status_code == 201, answer.text
        return answer.json()["entity_uid"]


def change(locations: Locations, where: str, uid: str, /, **values: str | None) -> None:
    with locations[where].api() as api:
        answer = api.patch(f"/customers/{uid}", json=values)
        assert answer.status_code == 200, answer.text


def shown(locations: Locations, name: str, uid: str) -> Any:
    """Return a customer as the API shows it; None if it does not."""
    with locations[name].api() as api:
        answer = api.get(f"/customers/{uid}")
        return answer.json() if answer.status_code == 200 else None


def history(locations: Locations, name: str, uid: str) -> Any:
    with locations[name].api() as api:
        return api.get(f"/entities/{uid}/history", params={"limit": 100}).json()


@pytest.mark.feature("S01")
def test_written_here_is_readable_there(locations, seconds):
    uid = create(locations, "loc1", surname="Ångström", name="Ann", phone="+46 8 123 45 67")
    took = wait_until(lambda: shown(locations, "loc2", uid) is not None, seconds, "readable")
    here, there = shown(locations, "loc1", uid), shown(locations, "loc2", uid)
    assert here == there
    assert took < seconds
    uid = create(locations, "loc2", surname="Back")
    wait_until(lambda: shown(locations, "loc1", uid) is not None, seconds, "readable")


@pytest.mark.feature("R04")
def test_one_request_id_from_here_to_the_consumer_there(locations, seconds):
    request_id = uuid4().hex
    uid = create(locations, "loc1", request_id, surname="Traced")
    wait_until(lambda: shown(locations, "loc2", uid) is not None, seconds, "readable")

    def lines() -> list[dict[str, Any]]:
        found = locations["loc2"].log_lines("consumer", "events_applied")
        return [line for line in found if line["request_id"] == request_id]

    wait_until(lambda: bool(lines()), 5, "in the log")
    (line,) = lines()
    assert (line["location"], line["origin"]) == ("loc2", "loc1")
    (request,) = [
        line
        for line in locations["loc1"].log_lines("web", "request")
        if line["request_id"] == request_id
    ]
    assert request["location"] == "loc1"


@pytest.mark.feature("S04")
def test_parallel_edits_while_cut_become_one_history(locations, seconds):
    uid = create(locations, "loc1", surname="Common", phone="1")
    wait_until(lambda: shown(locations, "loc2", uid) is not None, seconds, "readable")
    wait_until(lambda: locations["loc2"].status()["unreplicated"] == 0, 10, "acknowledged")
    locations.cut("loc2")
    change(locations, "loc1", uid, surname="Of one", phone="11")
    change(locations, "loc2", uid, surname="Of two", email="two@example.org")
    only_there = create(locations, "loc2", surname="Made while cut")
    time.sleep(1.5)
    assert shown(locations, "loc1", uid)["surname"] == "Of one"
    assert shown(locations, "loc2", uid)["surname"] == "Of two"
    assert shown(locations, "loc1", only_there) is None
    status = locations["loc2"].status()
    assert status["unreplicated"] == 2
    assert status["oldest_unreplicated_seconds"] > 0
    assert [peer["reachable"] for peer in status["peers"]] == [False]
    locations.heal("loc2")
    locations.wait_until_equal()
    assert history(locations, "loc1", uid) == history(locations, "loc2", uid)
    one, two = shown(locations, "loc1", uid), shown(locations, "loc2", uid)
    assert one == two
    assert (one["surname"], one["phone"], one["email"]) == ("Of two", "11", "two@example.org")
    items = [
        location.rows("SELECT item_id, earlier, later FROM events_conflict ORDER BY item_id")
        for location in locations.all.values()
    ]
    assert items[0] == items[1]
    assert items[0]
    digests = locations.digests()
    assert digests[0] == digests[1]


def conflicts(locations: Locations, name: str, uid: str, state: str = "open") -> list[Any]:
    with locations[name].api() as api:
        answer = api.get("/conflicts", params={"entity_uid": uid, "state": state})
        return answer.json()["results"]


def settle(locations: Locations, name: str, item_id: str, /, **choice: str) -> None:
    with locations[name].api("provider") as api:
        answer = api.post("/conflicts/resolve", json={"items": [{"item_id": item_id, **choice}]})
        assert answer.status_code == 200, answer.text


def change_both_while_cut(locations: Locations, uid: str, one: str, two: str) -> None:
    locations.cut("loc2")
    change(locations, "loc1", uid, phone=one)
    change(locations, "loc2", uid, phone=two)
    locations.heal("loc2")
    locations.wait_until_equal()


@pytest.mark.feature("S05")
def test_two_people_settle_one_conflict_while_cut(locations, seconds):
    uid = create(locations, "loc1", surname="Disputed", phone="0")
    wait_until(lambda: shown(locations, "loc2", uid) is not None, seconds, "readable")
    change_both_while_cut(locations, uid, "11", "22")
    (item,) = conflicts(locations, "loc1", uid)
    assert conflicts(locations, "loc2", uid) == [item]
    assert {side["value"]: side["origin"] for side in item["sides"]} == {"11": "loc1", "22": "loc2"}
    locations.cut("loc2")
    settle(locations, "loc1", item["item_id"], choice="swap")
    settle(locations, "loc2", item["item_id"], choice="enter", value="33")
    locations.heal("loc2")
    locations.wait_until_equal()
    (new,) = conflicts(locations, "loc1", uid)
    assert conflicts(locations, "loc2", uid) == [new]
    assert {side["value"] for side in new["sides"]} == {"11", "33"}
    settle(locations, "loc2", new["item_id"], choice="keep")
    locations.wait_until_equal()
    for name in locations.all:
        assert conflicts(locations, name, uid) == []
    one, two = (conflicts(locations, name, uid, "settled") for name in locations.all)
    assert {found["item_id"] for found in one} == {item["item_id"], new["item_id"]}
    assert one == two
    assert shown(locations, "loc1", uid) == shown(locations, "loc2", uid)
    digests = locations.digests()
    assert digests[0] == digests[1]


@pytest.mark.feature("S06")
def test_status_comes_to_equal(locations, seconds):
    create(locations, "loc1", surname="Counted")
    locations.wait_until_equal()

    def states() -> list[str]:
        return [p["state"] for x in locations.all.values() for p in x.status()["peers"]]

    wait_until(lambda: set(states()) == {"equal"}, 30, lambda: str(states()))
    for location in locations.all.values():
        status = location.status()
        assert status["unreplicated"] == 0
        assert [peer["lag_events"] for peer in status["peers"]] == [0]
        assert [peer["digest"] for peer in status["peers"]] == [status["digest"]]
        assert abs(status["peers"][0]["clock_offset_ms"]) < 1000


@pytest.mark.feature("S02")
@pytest.mark.parametrize("program", ["web", "sequencer", "consumer"])
def test_killed_process_loses_nothing(locations, program):
    location = locations["loc2"]
    uid = create(locations, "loc2", surname="Before")
    pid = location.programs[program].pid
    os.killpg(pid, signal.SIGKILL)
    location.programs[program].stop()
    uids = [create(locations, "loc1", surname=f"Meanwhile {n}") for n in range(3)]
    locations.start_program(location, program)
    wait_until(lambda: location.programs[program].pid is not None, 10)
    locations.wait_until_equal()
    wait_until(lambda: _answers(locations, "loc2"), 20, "web answers")
    for each in [uid, *uids]:
        assert shown(locations, "loc1", each) == shown(locations, "loc2", each) is not None


def _answers(locations: Locations, name: str) -> bool:
    import httpx

    try:
        return httpx.get(f"{locations[name].url}/readyz", trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def test_lost_database_connections_are_made_again(locations, seconds):
    for location in locations.all.values():
        location.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname ="
            " current_database() AND pid <> pg_backend_pid() AND usename <> current_user"
        )
    time.sleep(0.5)
    uid = create(locations, "loc1", surname="After the loss")
    wait_until(lambda: shown(locations, "loc2", uid) is not None, 15, "readable")


def test_nothing_personal_in_logs_and_dead_letters(locations, seconds):
    canary = f"Kanari{uuid4().hex[:8]}"
    uid = create(locations, "loc1", surname=canary, email=f"{canary}@example.org")
    wait_until(lambda: shown(locations, "loc2", uid) is not None, seconds, "readable")
    change(locations, "loc2", uid, notes=canary)
    locations.wait_until_equal()
    for location in locations.all.values():
        for program in location.programs:
            assert canary not in location.log(program)
        for table in ("events_event", "events_deadletter"):
            ((found,),) = location.rows(
                f"SELECT count(*) FROM {table} WHERE position(%s::bytea IN raw) > 0",
                [canary.encode()],
            )
            assert found == 0


def test_nothing_went_wrong_on_the_way(network):
    _, locations = network
    for location in locations.all.values():
        assert location.rows("SELECT * FROM events_deadletter") == []
        assert location.rows("SELECT 1 FROM events_entityhead WHERE parked_reason <> ''") == []
        assert location.log_lines("consumer", "stream_forked") == []
