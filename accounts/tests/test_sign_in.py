"""Signing in and out in the browser."""

from __future__ import annotations

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from pytest_django import Settings

from accounts.models import Access
from accounts.tests.people import PASSWORD, MakeMember

pytestmark = [pytest.mark.django_db, pytest.mark.feature("W01")]

PAGE = "/accounts/login/"


def attempt(client: Client, username: str, password: str = PASSWORD, **extra: str) -> int:
    """Sign in and return the status: 302 if it worked, 200 if the form came back."""
    fields = {"login": username, "password": password}
    return client.post(PAGE, fields, headers=extra).status_code


def test_the_page_asks_for_username_and_password(client: Client) -> None:
    page = client.get(PAGE)
    html = page.content.decode()
    assert page.status_code == 200
    assert "autofocus" in html
    assert 'autocomplete="username"' in html
    assert 'autocomplete="current-password"' in html
    assert "error-summary" not in html
    assert not Access.objects.exists()
    assert not Session.objects.exists()


def test_the_username_counts_in_any_case(client: Client, make_member: MakeMember) -> None:
    member = make_member("Ann", "agent")
    assert attempt(client, " aNN ") == 302
    assert client.session["_auth_user_id"] == str(member.pk)


def test_a_sign_in_is_logged_without_the_address(client: Client, make_member: MakeMember) -> None:
    member = make_member("ann", "agent")
    attempt(client, "ann")
    line = Access.objects.values().get()
    assert (line["kind"], line["outcome"], line["actor"]) == ("sign_in", "ok", member.uid)
    assert line["route"] == "accounts/login/"
    assert len(line["address_hmac"]) == 64
    assert "127.0.0.1" not in str(line)


@pytest.mark.parametrize(
    ("next_page", "where"), [("/customers?q=1", "/customers?q=1"), ("https://evil.example/", "/")]
)
def test_who_signs_in_goes_where_they_wanted_but_never_away(
    client: Client, make_member: MakeMember, next_page: str, where: str
) -> None:
    make_member("ann", "agent")
    fields = {"login": "ann", "password": PASSWORD, "next": next_page}
    assert client.post(PAGE, fields)["Location"] == where


@pytest.mark.parametrize("username", ["ann", "nobody", "gone"])
def test_a_failure_does_not_say_what_was_wrong(
    client: Client, make_member: MakeMember, username: str
) -> None:
    make_member("ann", "agent")
    make_member("gone", "agent", is_active=False)
    password = PASSWORD if username == "gone" else "something else"
    page = client.post(PAGE, {"login": username, "password": password})
    html = page.content.decode()
    assert page.status_code == 200
    assert 'id="error-summary"' in html
    assert "The username and/or password you specified are not correct." in html
    assert password not in html
    assert "_auth_user_id" not in client.session
    line = Access.objects.values().get()
    assert (line["outcome"], line["actor"]) == ("wrong_credentials", None)
    assert username not in str(line)


def test_an_empty_form_names_both_fields(client: Client) -> None:
    html = client.post(PAGE, {}).content.decode()
    assert 'href="#id_login"' in html
    assert 'href="#id_password"' in html


def test_five_failures_lock_the_username_out(client: Client, make_member: MakeMember) -> None:
    make_member("ann", "agent")
    make_member("bob", "agent")
    for _ in range(5):
        attempt(client, "ann", "wrong")
    assert attempt(client, "ann") == 200
    assert attempt(client, "ANN") == 200
    assert attempt(client, "ann", host="testserver:8443") == 200
    assert Access.objects.filter(outcome="locked_out", actor=None).count() == 3
    assert attempt(Client(), "bob") == 302


def test_good_sign_ins_lock_nobody_out(make_member: MakeMember) -> None:
    make_member("ann", "agent")
    assert [attempt(Client(), "ann") for _ in range(7)] == [302] * 7


def test_too_many_attempts_from_one_address_get_a_page_that_says_so(
    client: Client, settings: Settings
) -> None:
    settings.ACCOUNT_RATE_LIMITS = settings.ACCOUNT_RATE_LIMITS | {"login": "3/m/ip"}
    for count in range(3):
        attempt(client, f"name{count}", "wrong")
    page = client.post(PAGE, {"login": "ann", "password": PASSWORD})
    assert page.status_code == 429
    assert "Too many attempts" in page.content.decode()
    assert f'href="{PAGE}">To the sign-in page</a>' in page.content.decode()


def test_signing_out_takes_a_click(client: Client, make_member: MakeMember) -> None:
    member = make_member("ann", "agent")
    attempt(client, "ann")
    assert client.get("/accounts/logout/").status_code == 200
    assert "_auth_user_id" in client.session
    assert client.post("/accounts/logout/").status_code == 302
    assert "_auth_user_id" not in client.session
    assert Access.objects.filter(kind="sign_out", actor=member.uid).count() == 1


def test_a_disabled_member_is_out_at_once(
    client: Client, make_member: MakeMember, probes: None
) -> None:
    member = make_member("ann", "agent")
    attempt(client, "ann")
    assert client.get("/probe/page").status_code == 200
    member.is_active = False
    member.save()
    assert client.get("/probe/page").status_code == 302


def test_the_form_needs_its_csrf_token(make_member: MakeMember) -> None:
    make_member("ann", "agent")
    assert attempt(Client(enforce_csrf_checks=True), "ann") == 403


def test_without_the_slash_the_form_arrives_as_well(
    client: Client, make_member: MakeMember
) -> None:
    make_member("ann", "agent")
    fields = {"login": "ann", "password": PASSWORD}
    assert client.post("/accounts/login", fields)["Location"] == "/"
    assert client.post("/accounts/logout").status_code == 302
    assert "_auth_user_id" not in client.session


def test_a_script_gets_the_page_and_never_the_password_back(client: Client) -> None:
    fields = {"login": "ann", "password": PASSWORD}
    answer = client.post(PAGE, fields, headers={"x-requested-with": "XMLHttpRequest"})
    assert answer["Content-Type"].startswith("text/html")
    assert PASSWORD not in answer.content.decode()


@pytest.mark.parametrize(
    "address",
    ["signup/", "password/reset/", "password/change/", "email/", "inactive/", "reauthenticate/"],
)
def test_none_of_the_other_account_pages_exist(client: Client, address: str) -> None:
    assert client.get(f"/accounts/{address}").status_code == 404
