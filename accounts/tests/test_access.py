"""The access log grows, knows no address, and cannot be changed."""

from __future__ import annotations

from base64 import b64encode
from uuid import UUID, uuid4

import pytest
from django.db import DatabaseError, connection, transaction
from django.http import HttpRequest
from django.test import RequestFactory
from pytest_django import Settings

from accounts import access
from accounts.models import Access

pytestmark = [pytest.mark.django_db, pytest.mark.feature("A02")]

ACTOR = UUID("00000000-0000-4000-8000-000000000001")


def line(**changed: str) -> Access:
    """Add a line and return it as the database has it."""
    fields = {"route": "customers", "request_id": "r-1", "location": "loc2"} | changed
    access.log_access(access.SEARCH, at=1_500_000, actor=ACTOR, outcome=access.OK, **fields)
    return Access.objects.latest("id")


def request_from(address: str) -> HttpRequest:
    """Return a request from ``address`` that no pattern has matched."""
    return RequestFactory().get("/", REMOTE_ADDR=address)


def test_a_line_keeps_what_it_was_given() -> None:
    found = line()
    assert found.at.isoformat() == "1970-01-01T00:00:01.500000+00:00"
    assert (found.kind, found.outcome, found.actor) == ("search", "ok", ACTOR)
    assert (found.route, found.request_id, found.location) == ("customers", "r-1", "loc2")
    assert found.address_hmac == ""


def test_values_from_outside_are_cut_to_fit() -> None:
    found = line(route="r" * 500, request_id="q" * 500)
    assert (len(found.route), len(found.request_id)) == (200, 200)


def test_a_line_is_never_changed_or_taken_back() -> None:
    found = line()
    with pytest.raises(DatabaseError), transaction.atomic():
        Access.objects.update(outcome="other")
    with pytest.raises(DatabaseError), transaction.atomic():
        found.delete()
    assert Access.objects.get().outcome == "ok"


@pytest.mark.parametrize("right", ["UPDATE", "DELETE", "TRUNCATE"])
def test_the_application_may_only_add_lines(right: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT has_table_privilege(oid, %s), pg_get_userbyid(relowner) = current_user "
            "FROM pg_class WHERE oid = 'accounts_access'::regclass",
            [right],
        )
        # Where one role is owner and application, the trigger alone has to hold.
        assert cursor.fetchone() in {(False, False), (True, True)}


def test_one_address_has_one_hash_and_another_another() -> None:
    first, again = request_from("10.0.0.1"), request_from("10.0.0.1")
    assert access.address_hmac(first) == access.address_hmac(again)
    assert access.address_hmac(first) != access.address_hmac(request_from("10.0.0.2"))


def test_the_hash_needs_the_network_secret(settings: Settings) -> None:
    before = access.address_hmac(request_from("10.0.0.1"))
    settings.NETWORK_SECRET = b64encode(b"another secret of thirty-two B..").decode()
    assert access.address_hmac(request_from("10.0.0.1")) != before


@pytest.mark.parametrize("address", ["", "unix:"])
def test_a_request_without_an_address_is_logged_without_one(address: str) -> None:
    actor = uuid4()
    access.log_request(request_from(address), access.REFUSAL, access.LACKS_ROLE, actor)
    found = Access.objects.get()
    assert (found.actor, found.address_hmac, found.route) == (actor, "", "")
