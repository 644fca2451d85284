"""``/api/v1/audit``: every change is a line, and nothing is left out between two pages."""

from __future__ import annotations

from typing import Any
from unittest import mock
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.authors import now_us
from customers import commands
from customers.commands import When
from customers.tests.calling import Caller, fields
from events import sql
from events.drafting import Author
from events.models import EventSecret

pytestmark = [pytest.mark.django_db, pytest.mark.api, pytest.mark.feature("T05")]
ANN = UUID(int=1)


@pytest.fixture
def provider() -> Caller:
    return Caller("provider")


def author(origin: str = "loc1") -> Author:
    return Author(ANN, origin, now_us(), "request-1")


@pytest.fixture
def uid() -> UUID:
    """A customer who was entered, changed at another location, closed and opened again."""
    made, _ = commands.create_customer({"surname": "Ray", "phone": "1"}, author())
    changes = {"phone": None, "surname": "May", "email": "a@b.c"}
    commands.change_customer(made, changes, author("loc2"), when=When(reason="asked"))
    commands.delete_customer(made, author())
    commands.restore_customer(made, author())
    return made


def lines(caller: Caller, **query: Any) -> list[dict[str, Any]]:
    """Return the lines of all pages."""
    answer = caller.get("audit", query)
    found: list[dict[str, Any]] = []
    while True:
        page = answer.json()
        assert len(page["results"]) <= query.get("limit", 50)
        found += page["results"]
        if page["next"] is None:
            return found
        answer = caller.get(page["next"].partition("/api/v1/")[2])


def said(line: dict[str, Any]) -> tuple[object, ...]:
    before, after = line["before"], line["after"]
    return (
        line["operation"], line["detail_code"], before and before["value"], after and after["value"]
    )  # fmt: skip


EXPECTED = [
    ("INSERT", None, True, False),
    ("DELETE", None, None, True),
    ("INSERT", "email", None, "a@b.c"),
    ("DELETE", "phone", "1", None),
    ("UPDATE", "surname", "Ray", "May"),
    ("INSERT", "phone", None, "1"),
    ("INSERT", "surname", None, "Ray"),
    ("INSERT", None, None, "PERSON"),
]


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 8, 50])
def test_every_change_is_a_line_on_some_page(provider: Caller, uid: UUID, limit: int) -> None:
    found = lines(provider, limit=limit)
    assert [said(line) for line in found] == EXPECTED
    assert {line["entity_uid"] for line in found} == {str(uid)}


def test_a_line_says_who_when_where_and_why(provider: Caller, uid: UUID) -> None:
    line = lines(provider, origin="loc2")[0]
    assert (line["actor"], line["origin"], line["reason"]) == (str(ANN), "loc2", "asked")
    assert (line["request_id"], line["event_type"]) == ("request-1", "customers.details_changed")
    assert line["effective"] == line["at"]


def test_filters_narrow_it(provider: Caller, uid: UUID) -> None:
    commands.create_customer({"surname": "Other"}, Author(None, "loc1", now_us()))
    assert len(lines(provider)) == 10
    assert len(lines(provider, entity=str(uid))) == 8
    assert len(lines(provider, actor=str(ANN), origin="loc1")) == 5
    assert [said(line) for line in lines(provider, operation="DELETE", limit=1)] == [
        EXPECTED[1], EXPECTED[3],
    ]  # fmt: skip
    assert lines(provider, to="2020-01-01") == []
    assert len(lines(provider, **{"from": "2020-01-01", "to": "2999-01-01"})) == 10


def test_a_page_of_one_operation_looks_no_further_than_it_may(
    provider: Caller, uid: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("events.audit.SCANNED", 2)
    assert [said(line) for line in lines(provider, operation="UPDATE")] == [EXPECTED[4]]


def test_statements_do_not_grow_with_the_page(provider: Caller, uid: UUID) -> None:
    made = []
    for limit in (1, 50):
        with (
            CaptureQueriesContext(connection) as captured,
            mock.patch("events.sql.execute", wraps=sql.execute) as prepared,
        ):
            assert provider.get("audit", {"limit": limit}).json()["results"]
        made.append(len(captured) + prepared.call_count)
    assert made[0] == made[1] <= 8


def test_a_value_whose_key_is_missing_still_has_its_line(provider: Caller, uid: UUID) -> None:
    with mock.patch("events.audit._EVENTS", _without_secrets()):
        found = lines(provider, limit=50)
    assert len(found) == 8
    assert {line["after"] and line["after"]["value"] for line in found} <= {
        None, True, False, "PERSON",
    }  # fmt: skip
    assert EventSecret.objects.exists()


def _without_secrets() -> str:
    from events.audit import _EVENTS

    return _EVENTS.replace("s.ct, k.wrapped", "NULL::bytea, NULL::bytea")


@pytest.mark.parametrize(("query", "named"), [
    ({"entity": "x"}, {"entity"}), ({"actor": "1"}, {"actor"}),
    ({"operation": "drop"}, {"operation"}),
    ({"from": "2026-02-01", "to": "2026-01-31"}, {"from", "to"}), ({"from": "soon"}, {"from"}),
    ({"after": "x"}, {"after"}), ({"limit": "ten"}, {"limit"}), ({"page": "2"}, {"page"}),
    ({"origin": "a\x00"}, {"origin"}),
])  # fmt: skip
def test_filters_that_cannot_be_are_named(
    provider: Caller, query: dict[str, str], named: set[str]
) -> None:
    answer = provider.get("audit", query)
    assert answer.status_code == 400
    assert fields(answer) == named


def test_agents_do_not_read_it() -> None:
    assert Caller("agent").get("audit").status_code == 403
