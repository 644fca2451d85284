"""API tokens: how they are got, kept and refused."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.authors import now_us
from accounts.models import Access, ApiToken, Member
from accounts.tests.people import PASSWORD, MakeMember
from accounts.tokens import issue, revoke

pytestmark = [pytest.mark.django_db, pytest.mark.api, pytest.mark.feature("A01")]

ADDRESS = "/api/v1/auth/token"
SECOND = 1_000_000


def ask(client: Client, body: Any, address: str = ADDRESS, **headers: str) -> Any:
    """Post ``body`` (bytes as they are, anything else as JSON) and return the answer."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post(address, raw, content_type="application/json", headers=headers)


def status_with(client: Client, token: str) -> int:
    """Return the status of a request that shows ``token``."""
    headers = {"authorization": f"Token {token}"}
    return client.get("/probe/api", headers=headers).status_code


@pytest.fixture
def ann(make_member: MakeMember) -> Member:
    """Return an agent."""
    return make_member("ann", "agent")


@pytest.mark.parametrize("address", [ADDRESS, ADDRESS + "/"])
def test_a_password_gets_a_token_that_opens(
    client: Client, ann: Member, probes: None, address: str
) -> None:
    answer = ask(client, {"username": "Ann", "password": PASSWORD}, address)
    assert answer.status_code == 200
    assert list(answer.json()) == ["token"]
    assert re.fullmatch(r"sins_[\w-]{43}", answer.json()["token"], re.ASCII)
    assert answer["Cache-Control"] == "no-store"
    assert status_with(client, answer.json()["token"]) == 200
    assert Access.objects.filter(kind="token_issued", outcome="ok", actor=ann.uid).count() == 1


def test_the_token_is_nowhere_in_the_database(client: Client, ann: Member) -> None:
    token = ask(client, {"username": "ann", "password": PASSWORD}).json()["token"]
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            quoted = connection.ops.quote_name(table)
            cursor.execute(
                f"SELECT count(*) FROM {quoted} t WHERE strpos(t::text, %s) > 0",
                [token.removeprefix("sins_")],
            )
            assert cursor.fetchone() == (0,), table
    assert re.fullmatch(r"[0-9a-f]{64}", ApiToken.objects.get().token_hash)


def test_two_tokens_are_never_the_same(ann: Member) -> None:
    assert issue(ann, "one", now_us()) != issue(ann, "one", now_us())


@pytest.mark.parametrize("scheme", ["Token", "token", "TOKEN"])
def test_the_scheme_counts_in_any_case(
    client: Client, ann: Member, probes: None, scheme: str
) -> None:
    headers = {"authorization": f"{scheme} {issue(ann, 'test', now_us())}"}
    assert client.get("/probe/api", headers=headers).status_code == 200


def test_showing_a_token_writes_nothing(client: Client, ann: Member, probes: None) -> None:
    token = issue(ann, "test", now_us())
    with CaptureQueriesContext(connection) as queries:
        status_with(client, token)
    assert queries.captured_queries
    assert all(query["sql"].startswith("SELECT") for query in queries.captured_queries)


@pytest.mark.usefixtures("probes")
class TestRefused:
    """Tokens that open nothing; the answer never says why."""

    def check(self, client: Client, token: str) -> None:
        answer = client.get("/probe/api", headers={"authorization": f"Token {token}"})
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"] == "Token"
        assert "The token is not valid." in answer.content.decode()
        line = Access.objects.get()
        assert (line.kind, line.outcome) == ("refusal", "unusable_token")

    def test_revoked(self, client: Client, ann: Member) -> None:
        token = issue(ann, "test", now_us())
        revoke(ApiToken.objects.get(), now_us())
        self.check(client, token)

    def test_expired(self, client: Client, ann: Member) -> None:
        now = now_us()
        self.check(client, issue(ann, "test", now - 2 * SECOND, expires=now - SECOND))

    def test_of_a_disabled_member(self, client: Client, ann: Member) -> None:
        token = issue(ann, "test", now_us())
        ann.is_active = False
        ann.save()
        self.check(client, token)

    @pytest.mark.parametrize(
        "token", ["", "x", "sins_", "sins_" + "a" * 43, "a b", "sïns_", "\x7f", "x" * 4000]
    )
    def test_never_issued(self, client: Client, token: str) -> None:
        self.check(client, token)

    def test_the_hash_in_place_of_the_token(self, client: Client, ann: Member) -> None:
        issue(ann, "test", now_us())
        self.check(client, ApiToken.objects.get().token_hash)


def test_a_token_lasts_until_it_expires(client: Client, ann: Member, probes: None) -> None:
    now = now_us()
    assert status_with(client, issue(ann, "test", now, expires=now + 60 * SECOND)) == 200


def test_revoking_twice_keeps_the_first_instant(ann: Member) -> None:
    issue(ann, "test", now_us())
    revoke(ApiToken.objects.get(), 1)
    revoke(ApiToken.objects.get(), 2)
    revoked_at = ApiToken.objects.get().revoked_at
    assert revoked_at is not None
    assert revoked_at.microsecond == 1


def test_wrong_credentials_all_look_the_same(
    client: Client, ann: Member, make_member: MakeMember
) -> None:
    make_member("gone", "agent", is_active=False)
    answers = [
        ask(client, {"username": username, "password": password})
        for username, password in [("ann", "wrong"), ("nobody", PASSWORD), ("gone", PASSWORD)]
    ]
    assert [answer.status_code for answer in answers] == [401] * 3
    assert [answer["WWW-Authenticate"] for answer in answers] == ["Token"] * 3
    bodies = [json.loads(answer.content) for answer in answers]
    for body in bodies:
        body.pop("request_id", None)
        body.pop("instance", None)
    assert bodies[0] == bodies[1] == bodies[2]
    assert Access.objects.filter(outcome="wrong_credentials", actor=None).count() == 3
    assert not ApiToken.objects.exists()


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "username"),
        ({"username": "ann"}, "password"),
        ({"password": PASSWORD}, "username"),
        ({"username": "", "password": PASSWORD}, "username"),
        ({"username": None, "password": PASSWORD}, "username"),
        ({"username": ["ann"], "password": PASSWORD}, "username"),
        ({"username": "ann", "password": {"a": 1}}, "password"),
        ({"username": "ann\0", "password": PASSWORD}, "username"),
        ({"username": "a" * 151, "password": PASSWORD}, "username"),
        ({"username": "ann", "password": "p" * 1001}, "password"),
        ({"username": "ann", "password": PASSWORD, "role": "admin"}, "role"),
        (b'{"username": "\\ud800", "password": "x"}', "username"),
        (b'{"username": ', "body"),
        (b"", "username"),
        (b"\xff\xfe", "body"),
        (b"[" * 9_000, "body"),
        ([], "dictionary"),
        ("ann", "dictionary"),
    ],
)
def test_a_bad_body_is_refused_by_its_field(
    client: Client, ann: Member, body: Any, named: str
) -> None:
    answer = ask(client, body)
    assert answer.status_code == 400
    assert named in answer.content.decode()
    assert not ApiToken.objects.exists()


def test_a_body_longer_than_any_password_is_not_read(client: Client, ann: Member) -> None:
    assert ask(client, b" " * 10_001).status_code == 413


def test_only_json_is_read(client: Client, ann: Member) -> None:
    answer = client.post(ADDRESS, {"username": "ann", "password": PASSWORD})
    assert answer.status_code == 415


def test_reading_the_address_is_not_allowed(client: Client) -> None:
    assert client.get(ADDRESS).status_code == 405


@pytest.mark.feature("A05")
def test_ten_requests_a_minute_from_one_address(client: Client, ann: Member) -> None:
    for count in range(10):
        forged = {"x-forwarded-for": f"10.0.0.{count}"}
        assert ask(client, {}, **forged).status_code == 400
    answer = ask(client, {"username": "ann", "password": PASSWORD})
    assert answer.status_code == 429
    assert 0 < int(answer["Retry-After"]) <= 60


@pytest.mark.feature("W01")
def test_the_lock_out_is_one_with_the_pages(client: Client, ann: Member) -> None:
    for _ in range(5):
        ask(client, {"username": "ann", "password": "wrong"})
    answer = ask(client, {"username": "ANN", "password": PASSWORD})
    assert answer.status_code == 429
    assert int(answer["Retry-After"]) == 300
    client.post("/accounts/login/", {"login": "ann", "password": PASSWORD})
    assert "_auth_user_id" not in client.session
    assert Access.objects.filter(outcome="locked_out").count() == 2
