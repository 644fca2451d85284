"""``/api/v1/customers``: what an agent's program does with it, and the promised words."""

from __future__ import annotations

from typing import Any
from unittest import mock
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Access
from customers import commands, queries
from customers.tests.apart import head_of, write_elsewhere
from customers.tests.browsing import change, close, enter
from customers.tests.calling import Caller, fields
from events import sql
from events.models import Event

pytestmark = [pytest.mark.django_db, pytest.mark.api]

ANA: Any = {"surname": "Kovač", "name": "Ana", "dob": "1984-03-17", "document_number": "AB 123"}
KEYS = {
    "entity_uid", "entity_type", "display_name", "surname", "name", "dob", "document_number",
    "phone", "email", "company", "notes", "owner", "created_at", "updated_at", "is_deleted",
}  # fmt: skip


@pytest.fixture
def agent() -> Caller:
    return Caller("agent")


@pytest.fixture
def provider() -> Caller:
    return Caller("provider")


def events() -> int:
    return Event.objects.exclude(origin="genesis").count()


class TestCreate:
    @pytest.mark.feature("C01")
    @pytest.mark.parametrize("body", [
        {"surname": "Kovač"}, {"name": "Ana"}, {"dob": "1984-03-17"}, {"document_number": "1"},
        {"entity_type": "INSTITUTION", "company": "Acme"}, {"entity_type": "person", "name": "A"},
    ])  # fmt: skip
    def test_one_value_is_enough(self, agent: Caller, body: dict[str, str]) -> None:
        answer = agent.post("customers", body)
        assert answer.status_code == 201
        shown = answer.json()
        assert shown.keys() == KEYS
        sent = {name: value for name, value in body.items() if name != "entity_type"}
        assert sent.items() <= shown.items()
        assert shown["entity_type"] == body.get("entity_type", "PERSON").upper()
        assert answer["Location"] == f"http://testserver/api/v1/customers/{shown['entity_uid']}"
        assert agent.get(f"customers/{shown['entity_uid']}").json() == shown

    @pytest.mark.feature("C02")
    def test_the_event_says_who_where_and_from_which_request(self, agent: Caller) -> None:
        answer = agent.post("customers", ANA, X_Request_ID="from-the-desk-1")
        event = Event.objects.get(entity_uid=answer.json()["entity_uid"])
        assert (event.actor, event.origin) == (agent.member.uid, "loc1")
        assert b"from-the-desk-1" in bytes(event.raw)

    @pytest.mark.feature("T04")
    def test_the_same_again_makes_no_event(self, agent: Caller) -> None:
        body = {"entity_uid": str(uuid4()), **ANA}
        assert agent.post("customers", body).status_code == 201
        again = agent.post("customers", {**body, "phone": ""})
        assert again.status_code == 200
        assert again.json()["entity_uid"] == body["entity_uid"]
        agent.patch(f"customers/{body['entity_uid']}", {"surname": "Novak"})
        assert agent.post("customers", body).status_code == 200  # a creating event said so
        assert events() == 2
        assert agent.post("customers", {**body, "surname": "Novak"}).status_code == 200
        assert events() == 2

    @pytest.mark.feature("T04")
    def test_a_uid_with_other_data_is_a_conflict(self, agent: Caller) -> None:
        body = {"entity_uid": str(uuid4()), **ANA}
        agent.post("customers", body)
        answer = agent.post("customers", {**body, "name": "Maja"})
        assert answer.status_code == 409
        assert fields(answer) == {"entity_uid"}
        assert events() == 1

    def test_a_uid_of_another_kind_is_a_conflict(self, agent: Caller) -> None:
        built_in = str(Event.objects.filter(origin="genesis")[0].entity_uid)
        answer = agent.post("customers", {"entity_uid": built_in, "name": "Ana"})
        assert answer.status_code == 409
        assert agent.get(f"customers/{built_in}").status_code == 404
        assert agent.patch(f"customers/{built_in}", {"name": "Ana"}).status_code == 404

    @pytest.mark.feature("A06")
    def test_an_idempotency_key_makes_one_record(self, agent: Caller) -> None:
        first = agent.post("customers", ANA, Idempotency_Key="desk-1")
        again = agent.post("customers", ANA, Idempotency_Key="desk-1")
        assert (first.status_code, again.status_code) == (201, 200)
        assert first.json() == again.json()
        other = agent.post("customers", {"name": "Maja"}, Idempotency_Key="desk-1")
        assert other.status_code == 409
        assert Caller("agent").post("customers", ANA, Idempotency_Key="desk-1").status_code == 201
        assert fields(agent.post("customers", ANA, Idempotency_Key="a b")) == {"Idempotency-Key"}

    @pytest.mark.parametrize("body", [
        {}, {"surname": "", "name": None}, {"entity_type": "PERSON"}, {"reason": "asked"},
        {"entity_uid": "0198c5a0-0000-7000-8000-000000000000"},
    ])  # fmt: skip
    def test_a_body_without_any_value_is_refused(self, agent: Caller, body: object) -> None:
        answer = agent.post("customers", body)
        assert answer.status_code == 400
        assert fields(answer)
        assert events() == 0


class TestRead:
    @pytest.mark.feature("C02")
    def test_lists_are_paged(self, agent: Caller) -> None:
        for number in range(5):
            enter(surname=f"Number {number}")
        first = agent.get("customers", {"limit": 2}).json()
        assert first.keys() == {"count", "next", "previous", "results"}
        assert (first["count"], first["previous"]) == (5, None)
        second = agent.client.get(first["next"]).json()
        third = agent.client.get(second["next"]).json()
        assert third["next"] is None
        names = [c["surname"] for page in (first, second, third) for c in page["results"]]
        assert names == [f"Number {number}" for number in range(5)]
        assert agent.client.get(second["previous"]).json() == first

    @pytest.mark.feature("C02")
    @pytest.mark.parametrize(("path", "query", "most"), [
        ("customers", {}, 8),
        ("entities", {"q": "ana", "detail_code": "surname"}, 8),
        ("entities-asof", {"as_of": "2999-01-01"}, 8),
        ("diff", {"from": "2000-01-01", "to": "2999-01-01"}, 8),
        ("customers", {"q": "kovac", "mode": "exact"}, 8),
        ("customers", {"q": "kovac"}, 9),  # with a threshold to set
    ])  # fmt: skip
    def test_statements_do_not_grow_with_the_page(
        self, agent: Caller, path: str, query: dict[str, str], most: int
    ) -> None:
        for number in range(30):
            enter(surname="Kovač", name=f"Ana {number}")
        made = []
        for limit in (1, 25):
            with (
                CaptureQueriesContext(connection) as captured,
                mock.patch("events.sql.execute", wraps=sql.execute) as prepared,
            ):
                page = agent.get(path, {**query, "limit": limit}).json()
            assert len(page["results"]) == limit
            asked = [q["sql"] for q in captured if "SAVEPOINT" not in q["sql"]]
            made.append(len(asked) + prepared.call_count)
        assert made[0] == made[1] <= most

    @pytest.mark.feature("C04")
    def test_a_search_scores_and_explains(self, agent: Caller) -> None:
        uid = enter(surname="Kovač", name="Ana", dob="1984-03-17")
        enter(surname="Novak", name="Maja")
        found = agent.get("customers", {"q": "Kovac Anna"}).json()
        assert [hit["entity_uid"] for hit in found["results"]] == [str(uid)]
        hit = found["results"][0]
        assert hit["score"] > 80
        assert {field["field"] for field in hit["fields"]} == {"surname", "name"}
        assert {field["note"] for field in hit["fields"]} >= {"same"}

    @pytest.mark.feature("C03")
    def test_an_exact_search_needs_every_term(self, agent: Caller) -> None:
        uid = enter(**ANA)
        exact = {"mode": "exact", "limit": 5}
        for q, count in (("kovač ana", 1), ("Kovac 1984-03-17", 1), ("Kovac Maja", 0)):
            found = agent.get("customers", {"q": q, **exact}).json()
            assert found["count"] == count
            assert all(hit["entity_uid"] == str(uid) for hit in found["results"])

    def test_a_search_is_in_the_access_log_without_its_words(self, agent: Caller) -> None:
        agent.get("customers", {"q": "Kovač"})
        line = Access.objects.get(kind="search")
        assert line.actor == agent.member.uid
        assert "Kova" not in repr(vars(line))

    @pytest.mark.feature("T09")
    def test_a_record_as_it_was(self, agent: Caller) -> None:
        uid = enter(name="Ana")
        before = queries.get(uid).updated_at
        assert before is not None
        change(uid, name="Anna")
        then = agent.get(f"customers/{uid}", {"as_of": before.isoformat()})
        assert then.json()["name"] == "Ana"
        assert "ETag" not in then
        assert agent.get(f"customers/{uid}").json()["name"] == "Anna"
        assert agent.get(f"customers/{uid}", {"as_of": "2000-01-01"}).status_code == 404

    @pytest.mark.feature("T09")
    @pytest.mark.feature("S09")
    @pytest.mark.parametrize(
        "given", [{"is_key_here": False}, {"type": "customers.of_a_later_release"}], ids=str
    )
    def test_as_it_was_is_refused_while_an_event_of_it_cannot_be_read(
        self, agent: Caller, given: dict[str, Any]
    ) -> None:
        uid = enter(name="Ana")
        before = queries.get(uid).updated_at
        assert before is not None
        write_elsewhere(head_of(uid), {"email": "a@b.c"}, **given)
        assert agent.get(f"customers/{uid}").json()["name"] == "Ana"
        then = agent.get(f"customers/{uid}", {"as_of": before.isoformat()})
        assert then.status_code == 409
        assert then.json()["type"] == "urn:sins:problem:conflict"


class TestChange:
    @pytest.mark.feature("C02")
    def test_values_are_set_and_removed(self, agent: Caller) -> None:
        uid = enter(**ANA)
        answer = agent.patch(f"customers/{uid}", {"surname": "Novak", "dob": None, "name": ""})
        assert answer.status_code == 200
        shown = answer.json()
        assert (shown["surname"], shown["dob"], shown["name"]) == ("Novak", None, None)
        assert shown == agent.get(f"customers/{uid}").json()

    def test_what_a_get_shows_may_be_sent_back(self, agent: Caller) -> None:
        uid = enter(**ANA)
        before = events()
        answer = agent.patch(f"customers/{uid}", agent.get(f"customers/{uid}").json())
        assert answer.status_code == 200
        shown = queries.get(uid)
        assert shown.values == {**ANA}
        assert events() - before <= 1  # at most the derived name is now one that was set

    def test_the_type_and_the_name_can_be_set(self, agent: Caller) -> None:
        uid = enter(name="Acme")
        body = {"entity_type": "INSTITUTION", "display_name": "Acme Ltd"}
        shown = agent.patch(f"customers/{uid}", body).json()
        assert (shown["entity_type"], shown["display_name"]) == ("INSTITUTION", "Acme Ltd")
        assert (
            agent.patch(f"customers/{uid}", {"display_name": None}).json()["display_name"] == "Acme"
        )

    @pytest.mark.feature("A06")
    def test_a_lost_update_shows_both_values(self, agent: Caller) -> None:
        uid = enter(surname="Kovač", phone="1")
        seen = agent.get(f"customers/{uid}")["ETag"]
        change(uid, surname="Novak")
        answer = agent.patch(f"customers/{uid}", {"surname": "Horvat"}, If_Match=seen)
        assert answer.status_code == 412
        error = answer.json()["errors"][0]
        assert (error["field"], error["yours"], error["current"]) == ("surname", "Horvat", "Novak")
        assert queries.get(uid).values["surname"] == "Novak"
        fresh = agent.get(f"customers/{uid}")["ETag"]
        assert fresh != seen
        saved = agent.patch(f"customers/{uid}", {"surname": "Horvat"}, If_Match=f'"x", {fresh}')
        assert saved.status_code == 200
        assert saved["ETag"] not in {seen, fresh}

    @pytest.mark.feature("A06")
    @pytest.mark.parametrize("headers", [{}, {"If_Match": "*"}])
    def test_without_if_match_it_is_accepted(self, agent: Caller, headers: dict[str, str]) -> None:
        uid = enter(surname="Kovač")
        assert agent.patch(f"customers/{uid}", {"surname": "N"}, **headers).status_code == 200

    @pytest.mark.parametrize("tag", ["abc", '"abc', ""])
    def test_an_etag_that_is_none_is_named(self, agent: Caller, tag: str) -> None:
        uid = enter(surname="Kovač")
        answer = agent.patch(f"customers/{uid}", {"surname": "N"}, If_Match=tag)
        assert answer.status_code == 400
        assert fields(answer) == {"If-Match"}

    @pytest.mark.feature("T09")
    def test_a_change_may_take_effect_earlier(self, agent: Caller) -> None:
        uid = enter(when=commands.When(effective=1_500_000_000_000_000), name="Ana")
        body = {"name": "Anna", "effective": "2020-01-01T01:00:00+01:00", "reason": "by letter"}
        assert agent.patch(f"customers/{uid}", body).status_code == 200
        assert agent.get(f"customers/{uid}", {"as_of": "2019-12-31"}).json()["name"] == "Ana"
        assert agent.get(f"customers/{uid}", {"as_of": "2020-01-01"}).json()["name"] == "Anna"

    @pytest.mark.parametrize("body", [{}, {"reason": "x"}, {"effective": "2020-01-01T00:00:00Z"}])
    def test_a_change_of_nothing_is_refused(self, agent: Caller, body: object) -> None:
        uid = enter(name="Ana")
        assert agent.patch(f"customers/{uid}", body).status_code == 400

    def test_another_uid_in_the_body_is_refused(self, agent: Caller) -> None:
        uid = enter(name="Ana")
        answer = agent.patch(f"customers/{uid}", {"entity_uid": str(uuid4()), "name": "A"})
        assert fields(answer) == {"entity_uid"}
        same = agent.patch(f"customers/{uid}", {"entity_uid": str(uid), "name": "A"})
        assert same.status_code == 200


class TestClose:
    @pytest.mark.feature("C02")
    def test_deleting_keeps_the_history_and_a_provider_undoes_it(
        self, agent: Caller, provider: Caller
    ) -> None:
        uid = enter(**ANA)
        before = agent.get(f"customers/{uid}").json()
        answer = agent.delete(f"customers/{uid}", If_Match=agent.get(f"customers/{uid}")["ETag"])
        assert (answer.status_code, answer.content) == (204, b"")
        assert agent.delete(f"customers/{uid}").status_code == 204  # again: nothing more happens
        gone = agent.get(f"customers/{uid}")
        assert (gone.status_code, gone.json()["type"]) == (404, "urn:sins:problem:closed")
        assert agent.get("customers").json()["count"] == 0
        assert all(line["valid_to"] for line in agent.get(f"entities/{uid}/history").json())
        assert provider.get(f"customers/{uid}").json()["is_deleted"] is True
        assert agent.post(f"customers/{uid}/restore").status_code == 403
        restored = provider.post(f"customers/{uid}/restore")
        assert restored.status_code == 200
        assert {**restored.json(), "updated_at": ""} == {**before, "updated_at": ""}
        assert provider.post(f"customers/{uid}/restore").status_code == 200

    def test_a_closed_record_is_not_changed(self, agent: Caller, provider: Caller) -> None:
        uid = enter(name="Ana")
        close(uid)
        before = events()
        assert agent.patch(f"customers/{uid}", {"name": "A"}).status_code == 404
        assert provider.patch(f"customers/{uid}", {"name": "A"}).status_code == 409
        assert agent.patch(f"customers/{uid}", {"is_deleted": True}).status_code == 400
        assert events() == before

    @pytest.mark.feature("A06")
    def test_a_stale_delete_is_refused(self, agent: Caller) -> None:
        uid = enter(name="Ana")
        seen = agent.get(f"customers/{uid}")["ETag"]
        change(uid, name="Maja")
        assert agent.delete(f"customers/{uid}", If_Match=seen).status_code == 412
        assert agent.get(f"customers/{uid}").status_code == 200

    def test_an_unknown_record_is_the_same_as_any_address(self, agent: Caller) -> None:
        uid: UUID = uuid4()
        unknown = agent.get(f"customers/{uid}")
        nowhere = agent.client.get("/api/v1/nowhere")
        assert unknown.json() == nowhere.json()
        assert unknown["Content-Type"] == nowhere["Content-Type"]
        for answer in (
            agent.patch(f"customers/{uid}", {"name": "A"}),
            agent.delete(f"customers/{uid}"),
            Caller("provider").post(f"customers/{uid}/restore"),
            agent.get(f"entities/{uid}/history"),
            agent.get(f"customers/{uid}", {"as_of": "2020-01-01"}),
        ):
            assert answer.status_code == 404
            assert answer.json() == unknown.json()


@pytest.mark.feature("T04")
@pytest.mark.parametrize("slash", ["", "/"])
def test_paths_work_with_and_without_the_final_slash(agent: Caller, slash: str) -> None:
    body = {"entity_uid": str(uuid4()), "name": "Ana"}
    assert agent.post(f"customers{slash}", body).status_code == 201
    one = f"customers/{body['entity_uid']}{slash}"
    assert agent.get(one).status_code == 200
    assert agent.patch(one, {"name": "Maja"}).json()["name"] == "Maja"
    assert agent.delete(one).status_code == 204
