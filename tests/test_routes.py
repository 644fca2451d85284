"""Every route as every role: who may enter, and that looking changes nothing."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test import Client

from accounts.models import Member
from customers.tests.apart import disputed, id_of
from customers.tests.browsing import close, enter
from tests import routes as known_routes

pytestmark = [pytest.mark.django_db, pytest.mark.feature("A02")]

# Open to anyone. The peer routes answer only what a registered location signed.
PUBLIC = {"account_login", "healthz", "readyz"}
SIGNED = {"consumers:events", "consumers:heads", "consumers:digest", "consumers:heartbeat"}
# A POST alone: a token for a password, signing out, and a cookie for light or dark.
POST_ONLY = {"auth-token", "account_logout", "cockpit:theme"}
PROVIDERS = {
    "api-audit", "api-conflicts-resolve", "api-customer-restore", "cockpit:audit", "cockpit:sync",
    "cockpit:transactions", "cockpit:transactions-file", "cockpit:counts-file", "cockpit:retry",
}  # fmt: skip
# What looking may leave behind: sessions, the log of refusals and searches, limits on attempts.
LOCAL = {"django_session", "accounts_access", "sins_cache"}
ROLES = ("agent", "provider", "admin", "customer")
QUERIES = {
    "api-as-of": "as_of=2999-01-01",
    "api-diff": "from=2000-01-01&to=2999-01-01",
    "api-customers": "q=Rayleigh",
    "customers:list": "q=Rayleigh",
}


@pytest.fixture
def uid() -> UUID:
    """A customer to look at, with a conflict; another one is closed."""
    close(enter(surname="Gone"))
    return disputed(name="Ann")


def routes(uid: UUID) -> dict[str, str]:
    return known_routes.routes(uid, id_of(uid))


def signed_in(role: str) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(
        Member.objects.create_user(f"{role}-{uuid4().hex[:6]}", "not-used", roles=[role])
    )
    return client


def address(name: str, path: str) -> str:
    return f"{path}?{QUERIES[name]}" if name in QUERIES else path


def test_all_routes_are_known_to_this_test(uid: UUID) -> None:
    known = routes(uid)
    assert known.keys() >= PUBLIC | POST_ONLY | PROVIDERS
    assert len(known) > 20


@pytest.mark.parametrize("method", ["get", "head", "post", "patch", "put", "delete"])
def test_nobody_finds_anything_but_sign_in_and_health(uid: UUID, method: str) -> None:
    for name, path in routes(uid).items():
        if name in PUBLIC or (name in POST_ONLY and method == "post"):
            continue
        for form in (path, path.removesuffix("/") or "/", f"{path.removesuffix('/')}/"):
            answer = getattr(Client(), method)(form)
            assert answer.status_code in {302, 401, 403, 405}, (name, answer.status_code)
            if answer.status_code == 302:
                assert answer["Location"].startswith("/accounts/login/"), name
            assert "Rayleigh" not in answer.content.decode(), name


@pytest.mark.parametrize("role", ROLES)
def test_each_role_finds_what_it_may(uid: UUID, role: str) -> None:
    client = signed_in(role)
    for name, path in routes(uid).items():
        if name in PUBLIC | SIGNED | POST_ONLY:
            continue
        status = client.get(address(name, path)).status_code
        if role == "customer" or (role == "agent" and name in PROVIDERS):
            assert status in {403, 405}, (name, status)
        else:
            assert status in {200, 302, 405}, (name, status)


@pytest.mark.parametrize("role", ROLES)
def test_a_customer_or_agent_writes_nothing_that_is_a_providers(uid: UUID, role: str) -> None:
    client = signed_in(role)
    may_restore = role in {"provider", "admin"}
    answer = client.post(f"/api/v1/customers/{uid}/restore", {}, "application/json")
    assert answer.status_code == (200 if may_restore else 403)
    choices = {"items": [{"item_id": id_of(uid), "choice": "keep"}]}
    answer = client.post("/api/v1/conflicts/resolve", choices, "application/json")
    assert answer.status_code == (200 if may_restore else 403)
    answer = client.post("/conflicts/resolve", {"choice": "keep"})
    assert answer.status_code == (422 if may_restore else 403)
    may_write = role != "customer"
    body = {"surname": "Rey"}
    answer = client.patch(f"/api/v1/customers/{uid}", body, "application/json")
    assert answer.status_code == (200 if may_write else 403)
    answer = client.post("/api/v1/customers", body, "application/json")
    assert answer.status_code == (201 if may_write else 403)
    answer = client.delete(f"/api/v1/customers/{uid}")
    assert answer.status_code == (204 if may_write else 403)


@pytest.mark.feature("A05")
@pytest.mark.parametrize("role", ROLES)
def test_looking_changes_nothing(uid: UUID, role: str) -> None:
    client = signed_in(role)
    before = contents()
    for name, path in routes(uid).items():
        if name in SIGNED:
            continue
        for method in (client.get, client.head):
            answer = method(address(name, path))
            assert answer.status_code < 500, name
    assert contents() == before


def contents() -> dict[str, tuple[int, int]]:
    """Return size and a checksum of every table that looking must not change."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        tables = {table for (table,) in cursor.fetchall()} - LOCAL
        found = {}
        for table in sorted(tables):
            cursor.execute(
                f'SELECT count(*), coalesce(sum(hashtext(t::text)), 0) FROM "{table}" AS t'
            )
            found[table] = cursor.fetchone()
    assert found["events_event"][0] > 2
    return found


@pytest.mark.feature("A05")
def test_every_answer_carries_the_policy(uid: UUID) -> None:
    client = signed_in("provider")
    for name, path in routes(uid).items():
        answer = client.get(address(name, path))
        policy = answer["Content-Security-Policy"]
        assert "default-src 'self'" in policy, name
        assert "script-src" not in policy, name  # scripts are those of this location, none inline
        assert ("'unsafe-inline'" in policy) == (name in {"api-docs", "api-redoc"}), name
        assert answer["X-Content-Type-Options"] == "nosniff", name
