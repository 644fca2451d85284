"""``/api/v1/conflicts``: the inbox as a program reads and empties it."""

from __future__ import annotations

from typing import Any
from unittest import mock
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from customers import queries
from customers.tests.apart import (
    closed_beside_edits,
    disputed,
    head_of,
    id_of,
    item_of,
    items_of,
    write_elsewhere,
)
from customers.tests.browsing import change, enter
from customers.tests.calling import Caller, fields
from events import sql
from events.models import Event

pytestmark = [pytest.mark.django_db, pytest.mark.api, pytest.mark.feature("S05")]

NOWHERE = "0" * 64


@pytest.fixture
def provider() -> Caller:
    return Caller("provider")


@pytest.fixture
def agent() -> Caller:
    return Caller("agent")


def events() -> int:
    return Event.objects.exclude(origin="genesis").count()


def resolve(caller: Caller, *items: dict[str, Any], **headers: str) -> Any:
    return caller.post("conflicts/resolve", {"items": list(items)}, **headers)


def choice(item_id: str, chosen: str = "keep", **value: Any) -> dict[str, Any]:
    return {"item_id": item_id, "choice": chosen, **value}


class TestRead:
    def test_both_values_with_who_where_and_when(self, agent: Caller) -> None:
        uid = disputed()
        (shown,) = agent.get("conflicts").json()["results"]
        said = {side["event_id"]: side for side in shown.pop("sides")}
        earlier, later = (str(side.event.event_id) for side in item_of(uid).sides)
        assert shown == {
            "item_id": id_of(uid), "entity_uid": str(uid), "display_name": "Rayleigh",
            "state": "open", "is_closing": False, "is_parked": False, "group": "phone",
            "current": "22", "resolution": None,
        }  # fmt: skip
        assert list(said) == [earlier, later]
        mine = {"value": "11", "origin": "loc1", "is_kept": False, "is_readable": True}
        assert said[earlier].items() >= mine.items()
        assert said[later].items() >= {"value": "22", "origin": "loc2", "is_kept": True}.items()
        assert agent.get(f"conflicts/{id_of(uid)}").json()["current"] == "22"

    def test_what_closed_a_record_and_all_it_overlooked(self, agent: Caller) -> None:
        uid = closed_beside_edits("phone", "email")
        (shown,) = agent.get("conflicts").json()["results"]
        assert (shown["is_closing"], shown["group"], shown["current"]) == (True, "deleted", True)
        sides = [(s["group"], s["value"], s["is_kept"]) for s in shown["sides"]]
        assert sides == [
            ("deleted", True, True), ("phone", "new phone", False), ("email", "new email", False),
        ]  # fmt: skip
        for row in item_of(uid).outline.rows:
            assert agent.get(f"conflicts/{row.item_id}").json() == shown

    def test_filters_and_pages(self, agent: Caller, provider: Caller) -> None:
        uids = [disputed() for _ in range(3)]
        resolve(provider, choice(id_of(uids[0])))
        assert agent.get("conflicts").json()["count"] == 2
        settled = agent.get("conflicts", {"state": "settled"}).json()["results"]
        assert [shown["entity_uid"] for shown in settled] == [str(uids[0])]
        by = {"choice": "keep", "origin": "loc1", "actor": str(provider.member.uid)}
        assert settled[0]["resolution"].items() >= by.items()
        only = agent.get("conflicts", {"entity_uid": str(uids[1])}).json()["results"]
        assert [shown["item_id"] for shown in only] == [id_of(uids[1])]
        assert agent.get("conflicts", {"entity_uid": str(uuid4())}).json()["results"] == []
        first = agent.get("conflicts", {"limit": 1}).json()
        second = agent.client.get(first["next"]).json()
        assert [p["results"][0]["entity_uid"] for p in (first, second)] == [
            str(uids[2]), str(uids[1])]  # fmt: skip
        assert second["next"] is None

    def test_statements_do_not_grow_with_the_page(self, agent: Caller) -> None:
        for _ in range(5):
            disputed(), closed_beside_edits("phone", "email")
        made = []
        for limit in (1, 10):
            with (
                CaptureQueriesContext(connection) as captured,
                mock.patch("events.sql.execute", wraps=sql.execute) as prepared,
            ):
                page = agent.get("conflicts", {"limit": limit}).json()
            assert len(page["results"]) == limit
            asked = [q["sql"] for q in captured if "SAVEPOINT" not in q["sql"]]
            made.append(len(asked) + prepared.call_count)
        assert made[0] == made[1] <= 8

    @pytest.mark.parametrize(("query", "field"), [
        ({"state": "all"}, "state"), ({"entity_uid": "7"}, "entity_uid"), ({"limit": "0"}, "limit"),
        ({"q": "x"}, "q"),
    ])  # fmt: skip
    def test_a_bad_question_is_named(
        self, agent: Caller, query: dict[str, str], field: str
    ) -> None:
        answer = agent.get("conflicts", query)
        assert answer.status_code == 400
        assert fields(answer) == {field}

    def test_an_item_that_is_none(self, agent: Caller) -> None:
        assert agent.get(f"conflicts/{NOWHERE}").status_code == 404
        wrong = agent.get("conflicts/nonsense")
        assert (wrong.status_code, fields(wrong)) == (400, {"item_id"})

    def test_what_cannot_be_read_here_is_said_so(self, agent: Caller) -> None:
        uid = disputed()
        write_elsewhere(head_of(uid), {"email": "a@b.c"}, "loc3", is_key_here=False)
        sql.execute("DELETE FROM events_subjectkey WHERE subject_uid = %s", [uid])
        (shown,) = agent.get("conflicts").json()["results"]
        assert shown["is_parked"]
        assert [(s["value"], s["is_readable"]) for s in shown["sides"]] == [(None, False)] * 2


class TestResolve:
    @pytest.mark.parametrize(("made", "stands"), [
        ({"choice": "keep"}, "22"), ({"choice": "swap"}, "11"),
        ({"choice": "enter", "value": "33"}, "33"), ({"choice": "enter", "value": None}, None),
    ])  # fmt: skip
    def test_each_choice(self, provider: Caller, made: dict[str, Any], stands: Any) -> None:
        uid = disputed()
        answer = resolve(provider, {"item_id": id_of(uid), **made})
        assert answer.status_code == 200
        assert answer.json() == {"results": [
            {"item_id": id_of(uid), "entity_uid": str(uid), "status": 200, "problem": None}
        ]}  # fmt: skip
        assert queries.get(uid).values.get("phone") == stands
        settled = provider.get(f"conflicts/{id_of(uid)}").json()
        assert (settled["state"], settled["resolution"]["choice"]) == ("settled", made["choice"])

    def test_a_closed_record_comes_back(self, provider: Caller) -> None:
        uid = closed_beside_edits("phone", "email")
        assert resolve(provider, choice(id_of(uid), "swap")).status_code == 200
        assert queries.get(uid).values["email"] == "new email"

    def test_again_it_is_settled_already(self, provider: Caller) -> None:
        uid = disputed()
        resolve(provider, choice(id_of(uid), "swap"))
        before = events()
        again = resolve(provider, choice(id_of(uid), "swap"))
        assert (again.status_code, fields(again)) == (409, set())
        assert "settled already" in again.json()["detail"]
        assert resolve(provider, choice(NOWHERE)).status_code == 404
        assert events() == before

    def test_each_of_many_is_told(self, provider: Caller) -> None:
        uids = [disputed() for _ in range(3)]
        ids = [id_of(uid) for uid in uids]
        resolve(provider, choice(ids[0]))
        answer = resolve(
            provider, *(choice(item_id, "swap") for item_id in [*ids, NOWHERE]),
        )  # fmt: skip
        assert answer.status_code == 207
        results = answer.json()["results"]
        assert [r["item_id"] for r in results] == [*ids, NOWHERE]
        assert [r["status"] for r in results] == [409, 200, 200, 404]
        assert results[0]["problem"]["status"] == 409
        assert results[3]["entity_uid"] is None
        assert [queries.get(uid).values["phone"] for uid in uids] == ["22", "11", "11"]
        more = [choice(id_of(disputed())) for _ in range(2)]
        assert resolve(provider, *more).status_code == 200

    def test_one_wrong_value_stores_nothing_of_its_record(self, provider: Caller) -> None:
        uid, other = enter(surname="Two"), disputed()
        seen = head_of(uid)
        change(uid, phone="1", email="a@b.c")
        write_elsewhere(seen, {"phone": "2", "email": "d@e.f"})
        by_group = {item.group: item.outline.item_id for item in items_of(uid)}
        answer = resolve(
            provider,
            choice(by_group["phone"], "swap"),
            choice(by_group["email"], "enter", value="nowhere"),
            choice(id_of(other)),
        )
        first, second, third = answer.json()["results"]
        assert [first["status"], second["status"], third["status"]] == [409, 400, 200]
        assert [error["field"] for error in second["problem"]["errors"]] == ["value"]
        assert queries.get(uid).values["phone"] == "2"

    def test_one_wrong_value_alone_is_named(self, provider: Caller) -> None:
        uid = disputed("email", "a@b.c", "d@e.f")
        answer = resolve(provider, choice(id_of(uid), "enter", value="nowhere"))
        assert (answer.status_code, fields(answer)) == (400, {"value"})

    @pytest.mark.feature("A06")
    def test_by_if_match_what_changed_meanwhile_is_stale(self, provider: Caller) -> None:
        uid = disputed()
        tag = provider.get(f"conflicts/{id_of(uid)}")["ETag"]
        change(uid, phone="33")
        answer = resolve(provider, choice(id_of(uid)), If_Match=tag)
        assert (answer.status_code, fields(answer)) == (412, {"phone"})
        assert answer.json()["errors"][0]["current"] == "33"
        tag = provider.get(f"conflicts/{id_of(uid)}")["ETag"]
        for value in (tag, "*"):
            fresh = disputed() if value == "*" else uid
            assert resolve(provider, choice(id_of(fresh)), If_Match=value).status_code == 200
        two = resolve(provider, choice(NOWHERE), choice("1" * 64), If_Match=tag)
        assert (two.status_code, fields(two)) == (400, {"If-Match"})
        assert resolve(provider, choice(NOWHERE), If_Match=tag).status_code == 404

    @pytest.mark.parametrize(("body", "field"), [
        ({}, "items"), ({"items": []}, "items"), ({"items": "x"}, "items"),
        ({"items": [{}]}, "items.0.item_id"), ({"items": [{"item_id": "7", "choice": "keep"}]},
                                              "items.0.item_id"),
        ({"items": [{"item_id": NOWHERE, "choice": "burn"}]}, "items.0.choice"),
        ({"items": [{"item_id": NOWHERE, "choice": "enter"}]}, "items.0.value"),
        ({"items": [{"item_id": NOWHERE, "choice": "keep", "value": "x"}]}, "items.0.value"),
        ({"items": [{"item_id": NOWHERE, "choice": "keep", "etag": "x"}]}, "items.0.etag"),
        ({"items": [{"item_id": NOWHERE, "choice": "keep"}] * 2}, "items"),
        ({"items": [{"item_id": f"{n:064x}", "choice": "keep"} for n in range(1001)]}, "items"),
        ({"items": [{"item_id": NOWHERE, "choice": "keep"}], "all": True}, "all"),
    ])  # fmt: skip
    def test_a_bad_body_is_named(self, provider: Caller, body: Any, field: str) -> None:
        before = events()
        answer = provider.post("conflicts/resolve", body)
        assert answer.status_code == 400
        assert field in fields(answer)
        assert events() == before

    def test_what_can_be_entered_is_no_object(self, provider: Caller) -> None:
        uid = disputed()
        for value in ({"value": "x"}, ["x"], 7, True):
            answer = resolve(provider, choice(id_of(uid), "enter", value=value))
            assert (answer.status_code, fields(answer)) == (400, {"value"})


@pytest.mark.feature("A02")
@pytest.mark.parametrize("role", ["agent", "customer", "provider", "admin"])
def test_agents_read_and_providers_settle(role: str) -> None:
    uid: UUID = disputed()
    caller = Caller(role)
    may_read, may_settle = role != "customer", role in {"provider", "admin"}
    for path in ("conflicts", f"conflicts/{id_of(uid)}"):
        assert caller.get(path).status_code == (200 if may_read else 403)
    assert resolve(caller, choice(id_of(uid))).status_code == (200 if may_settle else 403)
    assert item_of(uid).outline.state == ("settled" if may_settle else "open")
