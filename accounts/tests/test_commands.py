"""The commands that make members and tokens."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any
from uuid import UUID, uuid5

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django import Settings

from accounts.authors import now_us
from accounts.models import ApiToken, Member
from accounts.tests.people import PASSWORD, MakeMember
from accounts.tokens import find, revoke

pytestmark = [pytest.mark.django_db, pytest.mark.feature("A01")]


def run(*arguments: str, **options: Any) -> str:
    """Run a command and return what it printed."""
    out = StringIO()
    call_command(*arguments, stdout=out, **options)
    return out.getvalue().strip()


def demo(given: Any = None) -> dict[str, dict[str, str | None]]:
    """Run ``create_demo_members`` with ``given`` credentials and return those it printed."""
    printed: dict[str, dict[str, str | None]] = json.loads(
        run("create_demo_members", "--members", json.dumps(given or {}))
    )
    return printed


def test_a_token_is_printed_alone_and_once(
    client: Client, make_member: MakeMember, probes: None
) -> None:
    make_member("ann", "agent")
    token = run("drf_create_token", "Ann", "--name", "nightly import")
    answer = client.get("/probe/api", headers={"authorization": f"Token {token}"})
    assert answer.status_code == 200
    assert ApiToken.objects.get().name == "nightly import"


def test_a_token_for_nobody_is_refused(make_member: MakeMember) -> None:
    make_member("gone", is_active=False)
    for username in ("nobody", "gone"):
        with pytest.raises(CommandError, match=username):
            run("drf_create_token", username)
    assert not ApiToken.objects.exists()


@pytest.mark.feature("W01")
def test_createsuperuser_makes_an_admin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    run("createsuperuser", "--noinput", "--username", "Root")
    member = Member.objects.get_by_natural_key("root")
    assert member.check_password(PASSWORD)
    assert member.roles == ["admin"]
    assert member.is_staff
    assert member.is_superuser


@pytest.mark.feature("W01")
def test_the_demo_members_can_sign_in_and_show_tokens(settings: Settings) -> None:
    printed = demo()
    assert list(printed) == ["agent", "provider", "customer", "admin"]
    for username, made in printed.items():
        member = Member.objects.get(username=username)
        assert member.roles == [username]
        namespace = UUID(str(settings.NETWORK_ID))
        assert member.uid == uuid5(namespace, f"member:{settings.LOCATION_ID}:{username}")
        assert member.check_password(made["password"] or "")
        token = find(made["token"] or "", now_us())
        assert token is not None
        assert token.member == member


def test_a_second_run_makes_nothing_and_prints_no_secret() -> None:
    first = demo()
    assert {str(made) for made in demo().values()} == {str({"password": None, "token": None})}
    assert (Member.objects.count(), ApiToken.objects.count()) == (4, 4)
    assert Member.objects.get(username="agent").check_password(first["agent"]["password"] or "")


def test_what_was_printed_can_be_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    first = demo()
    assert demo(first) == first
    monkeypatch.setenv("DEMO_MEMBERS", json.dumps(first))
    assert json.loads(run("create_demo_members")) == first
    assert (Member.objects.count(), ApiToken.objects.count()) == (4, 4)


def test_a_password_given_takes_the_place_of_the_old_one() -> None:
    demo()
    demo({"agent": {"password": PASSWORD}})
    assert Member.objects.get(username="agent").check_password(PASSWORD)


def test_a_disabled_demo_member_stays_disabled() -> None:
    demo()
    Member.objects.filter(username="agent").update(is_active=False, roles=["customer"])
    demo()
    member = Member.objects.get(username="agent")
    assert (member.is_active, member.roles) == (False, ["customer"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("{", "not JSON"),
        ("[]", "not an object"),
        ('{"agent": 1}', "not an object"),
        ('{"boss": {}}', "boss"),
        ('{"agent": {"roles": "admin"}}', "roles"),
        ('{"agent": {"token": "short"}}', "43 characters"),
    ],
)
def test_credentials_that_cannot_be_used_change_nothing(given: str, message: str) -> None:
    with pytest.raises(CommandError, match=message):
        run("create_demo_members", "--members", given)
    assert not Member.objects.exists()


def test_a_token_is_not_taken_from_its_owner_or_the_dead() -> None:
    first = demo()
    with pytest.raises(CommandError, match="someone else"):
        demo({"agent": {"token": first["admin"]["token"]}})
    revoke(ApiToken.objects.get(member__username="agent"), now_us())
    with pytest.raises(CommandError, match="revoked"):
        demo({"agent": {"token": first["agent"]["token"]}})
