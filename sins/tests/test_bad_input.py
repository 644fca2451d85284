"""Bad input: a 4xx that names the field, nothing stored, no traceback."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock
from uuid import UUID

import pytest
from django.core.exceptions import RequestDataTooBig
from django.db import OperationalError
from django.test import Client, RequestFactory
from django.test.utils import override_settings

from customers.tests.browsing import enter
from customers.tests.calling import PROBLEM, Caller, fields
from events.errors import MissingKey, Parked, SinsError, TooLarge
from events.models import Event
from sins import problems
from tests.logged import logged

pytestmark = [pytest.mark.django_db, pytest.mark.api, pytest.mark.feature("A05")]

FUTURE = (datetime.now(UTC) + timedelta(days=1)).isoformat()  # noqa: DTZ011, TID251, RUF100
UID = str(UUID("5e1e6fef-6b94-466b-9b40-8a2acbdea45f"))


@pytest.fixture(params=[False, True], ids=["release", "debug"])
def agent(request: pytest.FixtureRequest) -> Iterator[Caller]:
    """An agent at a location whose answers are those of a release, and of DEBUG."""
    with override_settings(DEBUG=request.param):
        yield Caller("agent", raises=False)


@pytest.fixture
def ana() -> UUID:
    return enter(surname="Kovač")


@pytest.fixture(autouse=True)
def lines(ana: UUID) -> Iterator[io.StringIO]:
    """What was logged; and nothing is stored, whatever is sent."""
    before = Event.objects.count()
    with logged() as lines:
        yield lines
    assert Event.objects.count() == before
    assert "Traceback" not in lines.getvalue()


def refused(answer: Any, *codes: int) -> set[str]:
    """Return the fields named by a refusal."""
    assert answer.status_code in (codes or (400,)), answer.content[:500]
    assert b"Traceback" not in answer.content
    return fields(answer)


BODIES = [
    (b"{", "body"), (b"", "body"), (b"null", "body"), (b"[]", "body"), (b'"x"', "body"),
    (b"7", "body"), (b'{"surname": NaN}', "body"), (b'{"surname": "a", "surname": "b"}', "body"),
    (b'{"surname": "\xff"}', "body"), (b"\xef\xbb\xbf{}", "body"), (b"[" * 100_000, "body"),
    (b'{"surname": "a",}', "body"), (b'{"surname": ' + b"9" * 5000 + b"}", "body"),
    (b'{"surname": "a", "shoe_size": "40"}', "shoe_size"),
    (b'{"surname": "a", "SURNAME": "b"}', "SURNAME"),
    (b'{"surname": "a", "\\ud800": "b"}', "?"), (b'{"surname": "a", "\\u0000": "b"}', "\x00"),
    (b'{"surname": "\\ud800"}', "surname"), (b'{"surname": "a\\u0000b"}', "surname"),
    (b'{"surname": 7}', "surname"), (b'{"surname": ["a"]}', "surname"),
    (b'{"surname": {"value": "a"}}', "surname"), (b'{"surname": true}', "surname"),
    (b'{"name": "a", "dob": "17.03.1984"}', "dob"), (b'{"dob": "1984-02-30"}', "dob"),
    (b'{"name": "a", "email": "ana"}', "email"), (b'{"name": "a", "owner": "ana"}', "owner"),
    (b'{"name": "a", "entity_type": "ROBOT"}', "entity_type"),
    (b'{"name": "a", "entity_type": null}', "entity_type"),
    (b'{"name": "a", "entity_uid": "7"}', "entity_uid"),
    (b'{"name": "a", "entity_uid": 7}', "entity_uid"),
    (b'{"name": "a", "entity_uid": null}', "entity_uid"),
    (b'{"name": "a", "reason": "\\u0000"}', "reason"), (b'{"name": "a", "reason": 7}', "reason"),
    (b'{"name": "a", "display_name": 7}', "display_name"),
    (b'{"name": "a", "effective": "2020-01-01"}', "effective"),
    (b'{"name": "a", "effective": "2020-01-01T10:00:00"}', "effective"),
    (b'{"name": "a", "effective": "yesterday"}', "effective"),
    (b'{"name": "a", "effective": 1577836800}', "effective"),
    (b'{"name": "a", "effective": null}', "effective"),
    (b'{"name": "a", "effective": "1969-12-31T23:59:59Z"}', "effective"),
    (b'{"name": "a", "effective": "0001-01-01T00:00:00+23:00"}', "effective"),
    (b'{"name": "a", "effective": "9999-12-31T23:59:59-23:00"}', "effective"),
    (f'{{"name": "a", "effective": "{FUTURE}"}}'.encode(), "effective"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "field"), BODIES, ids=lambda each: str(each)[:40])
def test_a_bad_body_is_named(agent: Caller, ana: UUID, body: bytes, field: str) -> None:
    assert refused(agent.send("POST", "customers", body)) == {field}
    assert refused(agent.send("PATCH", f"customers/{ana}", body)) == {field}


@pytest.mark.parametrize("value", ["true", "0", "null", '"false"'])
def test_a_record_is_not_closed_by_a_value(agent: Caller, ana: UUID, value: str) -> None:
    body = f'{{"name": "A", "is_deleted": {value}}}'.encode()
    assert refused(agent.send("PATCH", f"customers/{ana}", body)) == {"is_deleted"}


def test_all_bad_fields_are_named_at_once(agent: Caller) -> None:
    body = {"dob": "x", "email": "x", "entity_uid": "x", "surname": "x" * 301}
    assert refused(agent.post("customers", body)) == set(body)


@pytest.mark.parametrize("path", ["customers", "entities"])
def test_ten_megabytes_are_too_many(agent: Caller, ana: UUID, path: str) -> None:
    body = json.dumps({"notes": "x" * 10_000_000}).encode()
    assert refused(agent.send("POST", path, body), 413) == set()
    assert refused(agent.send("PATCH", f"{path}/{ana}", body), 413) == set()


@pytest.mark.parametrize(("path", "query", "field"), [
    ("customers", "limit=ten", "limit"), ("customers", "limit=-1", "limit"),
    ("customers", "limit=0", "limit"), ("customers", "limit=1001", "limit"),
    ("customers", "limit=1e2", "limit"), ("customers", "limit=", "limit"),
    ("customers", f"limit={'9' * 400}", "limit"), ("customers", "limit=%D9%A3", "limit"),
    ("customers", "offset=-1", "offset"), ("customers", "offset=99999999999", "offset"),
    ("customers", "offset=x", "offset"), ("customers", "q=a&offset=2", "offset"),
    ("customers", "mode=best", "mode"), ("customers", "q=%00", "q"),
    ("customers", f"q={'x' * 501}", "q"), ("customers", "search=x", "search"),
    ("customers", "limit=1&limit=2", "limit"), ("customers", "%00=1", "\x00"),
    ("customers", f"q={'+x' * 30}", "q"),
    ("entities", "type=ROBOT", "type"), ("entities", "detail_code=iban", "detail_code"),
    ("entities", f"q={'+x' * 30}", "q"), ("entities", "limit=ten", "limit"),
    ("entities-asof", "", "as_of"), ("entities-asof", "as_of=soon", "as_of"),
    ("entities-asof", "as_of=2026-02-30", "as_of"), ("entities-asof", "as_of=20260201", "as_of"),
    ("entities-asof", "as_of=2026-02-01T10:00:00", "as_of"), ("entities-asof", "as_of=", "as_of"),
    ("entities-asof", "as_of=2026-02-01T10:00:00+01:00", "as_of"),  # a + that was not escaped
    ("diff", "from=2026-02-01", "to"), ("diff", "to=2026-02-01", "from"),
    ("diff", "from=2026-01-01&to=2026-01-02&entity_uid=7", "entity_uid"),
    ("diff", "from=x&to=2026-01-02", "from"), (f"entities/{UID}", "as_of=x", "as_of"),
    (f"customers/{UID}", "known_at=x", "known_at"), (f"customers/{UID}", "at=2026-01-01", "at"),
    (f"entities/{UID}/history", "limit=5", "limit"),
    ("customers/7", "", "entity_uid"), ("entities/none", "", "entity_uid"),
    ("entities/none/history", "", "entity_uid"), ("customers/%00", "", "entity_uid"),
    (f"customers/{{{UID}}}", "", "entity_uid"),
    (f"customers/{UID.replace('-', '')}", "", "entity_uid"),
])  # fmt: skip
def test_a_bad_question_is_named(agent: Caller, path: str, query: str, field: str) -> None:
    assert refused(agent.get(f"{path}?{query}")) == {field}


@pytest.mark.parametrize("query", [
    "from=2026-02-02&to=2026-02-01", "from=2026-03-01&to=2026-02-01",
    "from=2999-02-02&to=2999-02-01",
    "from=2026-02-01T00:00:00.000001Z&to=2026-02-01T00:00:00Z",
    "from=2026-02-01&to=2026-01-31T23:59:59.999999Z",
])  # fmt: skip
def test_a_period_that_ends_before_it_begins(agent: Caller, query: str) -> None:
    assert refused(agent.get(f"diff?{query}")) == {"from", "to"}


def test_the_smallest_periods_are_periods(agent: Caller) -> None:
    for query in (
        "from=2026-02-01&to=2026-02-01",
        "from=2026-02-01T00:00:00Z&to=2026-02-01T00:00:00Z",
        "from=0001-01-01&to=9999-12-31",
    ):
        assert agent.get(f"diff?{query}").status_code == 200


def test_writes_take_no_query(agent: Caller, ana: UUID) -> None:
    assert refused(agent.patch(f"customers/{ana}?force=1", {"name": "A"})) == {"force"}
    assert refused(agent.delete(f"customers/{ana}?force=1")) == {"force"}
    assert refused(agent.patch("customers/7", {"name": "A"})) == {"entity_uid"}
    assert refused(agent.delete("customers/7")) == {"entity_uid"}


@pytest.mark.parametrize("content_type", [
    "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "",
    "nonsense",
])  # fmt: skip
def test_a_body_that_is_not_json(agent: Caller, content_type: str) -> None:
    answer = agent.send("POST", "customers", b"surname=x", content_type)
    assert refused(answer, 415, 400) <= {"body"}
    assert answer.status_code == 415 or not content_type


def test_other_methods_and_addresses(agent: Caller, ana: UUID) -> None:
    answer = agent.client.put(f"/api/v1/customers/{ana}", {}, "application/json")
    assert refused(answer, 405) == set()
    assert "PATCH" in answer["Allow"]
    assert refused(agent.client.trace("/api/v1/customers", query_params={"q": "a"}), 405) == set()
    assert (
        refused(agent.client.get("/api/v1/customers", headers={"Accept": "text/csv"}), 406) == set()
    )


def test_who_may_not_is_told_as_a_problem(ana: UUID) -> None:
    nobody = Client().get(f"/api/v1/customers/{ana}")
    assert refused(nobody, 401) == set()
    assert nobody["WWW-Authenticate"] == "Token"
    wrong = Client(headers={"Authorization": "Token sins_wrong"}).get("/api/v1/customers")
    assert refused(wrong, 401) == set()
    assert refused(Caller("customer").get(f"customers/{ana}"), 403) == set()


def test_a_page_without_the_csrf_token_cannot_write(ana: UUID) -> None:
    caller = Caller("agent")
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(caller.member)
    answer = browser.patch(f"/api/v1/customers/{ana}", {"name": "x"}, "application/json")
    assert refused(answer, 403) == set()


@pytest.mark.parametrize(("error", "code"), [
    (Parked(UUID(UID)), 409), (MissingKey(), 409), (TooLarge(), 413), (SinsError("Strange."), 400),
    (OperationalError("server closed the connection: Kovač"), 503), (RequestDataTooBig(), 413),
])  # fmt: skip
def test_errors_of_the_core_are_problems(error: Exception, code: int, lines: io.StringIO) -> None:
    answer = problems.problem_response(error, {})
    assert answer is not None
    assert (answer.status_code, answer.data["status"], answer.content_type) == (code, code, PROBLEM)
    assert ("Retry-After" in answer) == (code == 503)
    assert "Kova" not in str(answer.data) + lines.getvalue()


def test_what_nobody_foresaw_says_nothing_of_itself(ana: UUID, lines: io.StringIO) -> None:
    caller = Caller("agent", raises=False)
    with mock.patch("customers.queries.get", side_effect=RuntimeError("Kovač, born 1984")):
        answer = caller.client.get(f"/api/v1/customers/{ana}")
    assert refused(answer, 500) == set()
    written = lines.getvalue()
    assert "Kova" not in answer.content.decode() + written
    assert "RuntimeError" in written  # but it is known where to look


def test_what_django_refuses_is_a_problem_below_api() -> None:
    factory = RequestFactory()
    for handler, code in ((problems.bad_request, 400), (problems.forbidden, 403)):
        refusal = handler(factory.get("/api/v1/x"), Exception())
        assert (refusal.status_code, refusal["Content-Type"]) == (code, PROBLEM)
    too_big = problems.bad_request(factory.get("/api/v1/x"), RequestDataTooBig())
    assert too_big.status_code == 413
    for path, content_type in (
        ("/api/v1/nothing", PROBLEM),
        ("/nothing", "text/html; charset=utf-8"),
    ):
        answer = Client(raise_request_exception=False).get(path)
        assert (answer.status_code, answer["Content-Type"]) == (404, content_type)
    host = Client(headers={"Host": "evil.example"}).get("/api/v1/customers")
    assert (host.status_code, host["Content-Type"]) == (400, PROBLEM)
