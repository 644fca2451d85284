"""``/api/v1/entities``, as-of and diff: the model, its history and its two clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
import time_machine

from accounts.authors import now_us
from customers import commands, queries
from customers.commands import When
from customers.tests.browsing import change, close, enter
from customers.tests.calling import Caller, fields
from events.drafting import Author
from events.models import Event
from events.stamp import to_micros

pytestmark = [pytest.mark.django_db, pytest.mark.api]

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
ALICE = {
    "entity_type": "PERSON",
    "display_name": "Alice",
    "details": [{"detail_code": "EMAIL", "value": {"value": "alice@example.com"}}],
}


@pytest.fixture
def agent() -> Caller:
    return Caller("agent")


def events() -> int:
    return Event.objects.exclude(origin="genesis").count()


def enter_at(moment: datetime, effective: datetime | None = None, **values: str | None) -> UUID:
    """Enter a customer on that day, as far as the record knows."""
    when = When(None if effective is None else to_micros(effective))
    author = Author(None, "loc1", to_micros(moment))
    uid, _ = commands.create_customer(values, author, when=when)
    return uid


def change_at(uid: UUID, moment: datetime, **values: str | None) -> None:
    commands.change_customer(uid, values, Author(None, "loc2", to_micros(moment)))


class TestEntities:
    @pytest.mark.feature("T04")
    def test_the_promised_words(self, agent: Caller) -> None:
        answer = agent.post("entities", ALICE)
        assert answer.status_code == 201
        shown = answer.json()
        assert shown["display_name"] == "Alice"
        assert shown["entity_type"] == "PERSON"
        detail = shown["details"][0]
        assert (detail["detail_code"], detail["value"]) == ("email", {"value": "alice@example.com"})
        assert (detail["origin"], detail["actor"]) == ("loc1", str(agent.member.uid))
        assert agent.get(f"entities/{shown['entity_uid']}").json() == shown
        assert answer["Location"].endswith(f"/api/v1/entities/{shown['entity_uid']}")

    @pytest.mark.feature("T03")
    @pytest.mark.feature("T04")
    def test_the_same_again_makes_no_event_and_other_data_is_a_conflict(
        self, agent: Caller
    ) -> None:
        body = {"entity_uid": str(uuid4()), **ALICE}
        assert agent.post("entities", body).status_code == 201
        assert agent.post("entities", body).status_code == 200
        other = agent.post("entities", {**body, "display_name": "Bob"})
        assert other.status_code == 409
        assert events() == 1

    @pytest.mark.feature("T04")
    def test_a_change_of_name_and_details(self, agent: Caller) -> None:
        uid = agent.post("entities", ALICE).json()["entity_uid"]
        body = {"display_name": "Alice B.", "details": [
            {"detail_code": "email", "value": {"value": None}},
            {"detail_code": "Phone", "value": {"value": "1"}},
        ]}  # fmt: skip
        answer = agent.patch(f"entities/{uid}", body)
        shown = answer.json()
        assert shown["display_name"] == "Alice B."
        assert [(d["detail_code"], d["value"]["value"]) for d in shown["details"]] == [
            ("phone", "1")
        ]
        assert answer["ETag"] == agent.get(f"entities/{uid}")["ETag"]
        agent.patch(f"entities/{uid}", body)
        assert events() == 2

    @pytest.mark.feature("A06")
    def test_a_lost_update_is_refused(self, agent: Caller) -> None:
        uid = agent.post("entities", ALICE).json()["entity_uid"]
        seen = agent.get(f"entities/{uid}")["ETag"]
        change(UUID(uid), email="a@b.c")
        body = {"details": [{"detail_code": "email", "value": {"value": "x@y.z"}}]}
        answer = agent.patch(f"entities/{uid}", body, If_Match=seen)
        assert answer.status_code == 412
        error = answer.json()["errors"][0]
        assert (error["yours"], error["current"]) == ("x@y.z", "a@b.c")

    @pytest.mark.parametrize(("details", "field"), [
        ([{"detail_code": "email", "value": "alice@example.com"}], "details.0.value"),
        ([{"detail_code": "email", "value": {"value": "no address"}}], "details.0.value.value"),
        ([{"detail_code": "email", "value": {"value": 7}}], "details.0.value.value"),
        ([{"detail_code": "email", "value": {"text": "a"}}], "details.0.value.text"),
        ([{"detail_code": "email", "value": {}}], "details.0.value.value"),
        ([{"detail_code": "email"}], "details.0.value"),
        ([{"detail_code": "iban", "value": {"value": "1"}}], "details.0.detail_code"),
        ([{"detail_code": ["email"], "value": {"value": "1"}}], "details.0.detail_code"),
        ([{"detail_code": "email", "value": {"value": "a@b.c"}}] * 2, "details"),
        (["email"], "details.0"), ({"email": "a@b.c"}, "details"), ("email", "details"),
        (None, "details"),
    ])  # fmt: skip
    @pytest.mark.feature("A05")
    def test_a_detail_that_is_none_is_named(
        self, agent: Caller, details: object, field: str
    ) -> None:
        answer = agent.post("entities", {"display_name": "Alice", "details": details})
        assert answer.status_code == 400
        assert fields(answer) == {field}
        assert events() == 0

    @pytest.mark.feature("T04")
    def test_filters_narrow_the_list(self, agent: Caller) -> None:
        ana = enter(surname="Kovač", email="ana@example.com")
        acme, _ = commands.create_customer(
            {"company": "Acme"}, Author(None, "loc1", now_us()), entity_type="INSTITUTION"
        )
        close(enter(surname="Kovač"))
        for query, expected in (
            ({}, {ana, acme}), ({"q": "kovač"}, {ana}), ({"q": "EXAMPLE ana@"}, {ana}),
            ({"q": "acme kovač"}, set()), ({"q": "%"}, set()), ({"type": "institution"}, {acme}),
            ({"detail_code": "EMAIL"}, {ana}), ({"type": "PERSON", "q": "acm"}, set()),
        ):  # fmt: skip
            page = agent.get("entities", query).json()
            assert {UUID(each["entity_uid"]) for each in page["results"]} == expected
            assert page["count"] == len(expected)

    def test_a_closed_entity_is_shown_to_providers(self, agent: Caller) -> None:
        uid = enter(name="Ana")
        close(uid)
        assert agent.get(f"entities/{uid}").json()["type"] == "urn:sins:problem:closed"
        shown = Caller("provider").get(f"entities/{uid}").json()
        assert (shown["is_deleted"], shown["display_name"]) == (True, "Ana")


class TestTime:
    @pytest.mark.feature("T04")
    def test_the_history_in_promised_words(self, agent: Caller) -> None:
        uid = enter_at(NOON, surname="Kovač")
        change_at(uid, NOON + timedelta(hours=1), surname="Novak")
        lines = agent.get(f"entities/{uid}/history").json()
        assert [line["detail_code"] for line in lines] == [None, "surname", None, "surname"]
        assert all(
            list(line) == ["detail_code", "value", "valid_from", "valid_to", "origin", "actor"]
            for line in lines
        )
        assert lines[1] == {
            "detail_code": "surname",
            "value": {"value": "Kovač"},
            "valid_from": "2026-03-10T12:00:00.000000Z",
            "valid_to": "2026-03-10T13:00:00.000000Z",
            "origin": "loc1",
            "actor": None,
        }
        assert (lines[3]["origin"], lines[3]["valid_to"]) == ("loc2", None)

    @pytest.mark.feature("T04")
    def test_a_day_means_its_end_and_a_time_is_exact(self, agent: Caller) -> None:
        uid = enter_at(NOON, surname="Kovač")
        change_at(uid, datetime(2026, 3, 12, 12, tzinfo=UTC), surname="Novak")

        def surnames(as_of: str) -> list[str]:
            page = agent.get("entities-asof", {"as_of": as_of}).json()
            assert page["count"] == len(page["results"])
            return [d["value"]["value"] for e in page["results"] for d in e["details"]]

        assert surnames("2026-03-09") == []
        assert surnames("2026-03-10") == ["Kovač"]
        assert surnames("2026-03-10T11:59:59.999999Z") == []
        assert surnames("2026-03-10T13:00:00+01:00") == ["Kovač"]
        assert surnames("2026-03-11") == ["Kovač"]
        assert surnames("2026-03-12") == surnames("9999-12-31") == ["Novak"]
        record = agent.get(f"entities/{uid}", {"as_of": "2026-03-11"}).json()
        assert record["details"][0]["value"] == {"value": "Kovač"}

    @pytest.mark.feature("T04")
    def test_a_day_is_that_of_the_network(self, agent: Caller, settings: object) -> None:
        from zoneinfo import ZoneInfo

        settings.DISPLAY_TIME_ZONE = ZoneInfo("Asia/Tokyo")  # type: ignore[attr-defined]
        enter_at(datetime(2026, 3, 10, 15, 30, tzinfo=UTC), surname="Kovač")  # 11th, 00:30 there
        assert agent.get("entities-asof", {"as_of": "2026-03-10"}).json()["count"] == 0
        assert agent.get("entities-asof", {"as_of": "2026-03-11"}).json()["count"] == 1

    @pytest.mark.feature("T04")
    def test_from_now_on_is_what_is_so_at_last(self, agent: Caller) -> None:
        with time_machine.travel(NOON, tick=True):
            author = Author(None, "loc2", to_micros(NOON + timedelta(days=1)))  # a fast clock
            uid, _ = commands.create_customer({"name": "Ana"}, author)
            caller = Caller("agent")
            assert caller.get("entities-asof", {"as_of": "2026-03-10"}).json()["count"] == 1
            assert caller.get("entities-asof", {"as_of": "2026-03-09"}).json()["count"] == 0
            assert caller.get(f"entities/{uid}", {"as_of": "2026-03-10"}).status_code == 200

    @pytest.mark.feature("T04")
    def test_what_changed_in_a_period(self, agent: Caller) -> None:
        ana = enter_at(NOON, surname="Kovač", phone="1")
        maja = enter_at(NOON - timedelta(days=9), name="Maja")
        change_at(ana, NOON + timedelta(days=1), surname="Novak", phone=None)
        change_at(maja, NOON + timedelta(days=1), name="Mia")
        change_at(maja, NOON + timedelta(days=1, hours=1), name="Maja")
        page = agent.get("diff", {"from": "2026-03-11", "to": "2026-03-11"}).json()
        assert page["results"] == [{
            "entity_uid": str(ana),
            "changes": [
                {"detail_code": None, "before": _named("Kovač"), "after": _named("Novak")},
                {"detail_code": "phone", "before": {"value": "1"}, "after": None},
                {"detail_code": "surname", "before": {"value": "Kovač"},
                 "after": {"value": "Novak"}},
            ],
        }]  # fmt: skip
        assert agent.get("diff", {"from": "2026-03-12", "to": "2026-03-20"}).json()["count"] == 0
        whole = {"from": "2026-03-01", "to": "2999-01-01"}
        assert agent.get("diff", whole).json()["count"] == 2
        one = agent.get("diff", {**whole, "entity_uid": str(maja)}).json()
        assert [each["entity_uid"] for each in one["results"]] == [str(maja)]
        second = agent.get("diff", {**whole, "limit": 1, "offset": 1}).json()
        assert (len(second["results"]), second["next"]) == (1, None)

    @pytest.mark.feature("T04")
    def test_midnight_belongs_to_the_day_that_begins(self, agent: Caller) -> None:
        uid = enter_at(NOON, datetime(2026, 3, 5, tzinfo=UTC), name="Ana")
        for day, count in (("2026-03-04", 0), ("2026-03-05", 1), ("2026-03-06", 0)):
            assert agent.get("diff", {"from": day, "to": day}).json()["count"] == count
        exact = {"from": "2026-03-05T00:00:00Z", "to": "2026-03-06T00:00:00Z"}
        assert agent.get("diff", exact).json()["count"] == 0
        assert agent.get(f"entities/{uid}", {"as_of": "2026-03-05"}).status_code == 200

    @pytest.mark.feature("T09")
    def test_as_it_was_and_as_it_was_known(self, agent: Caller) -> None:
        uid = enter_at(NOON, surname="Kovač")
        known = queries.get(uid).updated_at
        assert known is not None
        later = NOON + timedelta(days=5)
        backdated = When(to_micros(NOON + timedelta(days=1)))
        author = Author(None, "loc1", to_micros(later))
        commands.change_customer(uid, {"surname": "Novak"}, author, when=backdated)

        def surname(**query: str) -> str:
            record = agent.get(f"customers/{uid}", query)
            assert record.status_code == 200
            return str(record.json()["surname"])

        day_two = "2026-03-12T00:00:00Z"
        assert surname() == "Novak"
        assert surname(as_of=day_two) == "Novak"
        assert surname(as_of=day_two, known_at=(later - timedelta(days=1)).isoformat()) == "Kovač"
        assert surname(known_at="2026-03-14") == "Kovač"
        assert agent.get(f"customers/{uid}", {"known_at": "2026-03-09"}).status_code == 404


def _named(name: str) -> dict[str, object]:
    return {"display_name": name, "entity_type": "PERSON", "merged_into": None}
