"""Two locations of real processes, and somebody who changes a row by hand at one of them."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from tests.by_hand import by_hand
from tests.databases import TestDatabases
from tests.locations import Location, running_locations, wait_until

pytestmark = pytest.mark.feature("S06")

SECONDS = 120  # generous: the machine is shared


def enter(location: Location, surname: str) -> str:
    with location.api() as api:
        answer = api.post("/customers", json={"entity_uid": str(uuid4()), "surname": surname})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["entity_uid"])


def test_trap_40_manual_update_at_one_of_two_locations(
    databases: TestDatabases, tmp_path: Path
) -> None:
    with running_locations(databases, ("loc1", "loc2"), tmp_path) as locations:
        one, two = locations["loc1"], locations["loc2"]
        uid = enter(one, "Right")
        locations.wait_until_equal()
        by_hand(
            "customers_entity",
            "UPDATE customers_entity SET display_name = 'Wrong' WHERE entity_uid = %s",
            [uid],
            url=two.database.owner,
        )
        with two.api() as api:
            assert api.get(f"/customers/{uid}").json()["display_name"] == "Wrong"
        enter(one, "Another")  # what comes next makes both take their digest anew

        def is_healed() -> bool:
            found = two.rows(
                "SELECT display_name FROM customers_entity WHERE entity_uid = %s", [uid]
            )
            return found == [("Right",)]

        wait_until(is_healed, SECONDS, "healed")
        alarm, *_ = two.log_lines("consumer", "digests_differ")
        assert (alarm["peer"], alarm["buckets"]) == ("loc1", [int(uid[-3:], 16)])
        wait_until(lambda: states(one) == states(two) == ["equal"], SECONDS, "equal again")
        assert len(set(locations.digests())) == 1


def states(location: Location) -> list[str]:
    return [peer["state"] for peer in location.status()["peers"]]
