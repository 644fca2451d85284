"""Members and the authors they are of what they record."""

from __future__ import annotations

from importlib import import_module

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import IntegrityError, transaction
from django.test import RequestFactory
from pytest_django import Settings

from accounts.authors import author_of, now_us
from accounts.models import Member
from accounts.tests.people import PASSWORD, MakeMember

pytestmark = [pytest.mark.django_db, pytest.mark.feature("W01")]


def test_passwords_are_kept_as_argon2(make_member: MakeMember, settings: Settings) -> None:
    # Tests hash in a hurry; this one as the location does.
    settings.PASSWORD_HASHERS = import_module("sins.settings").PASSWORD_HASHERS
    assert make_member("ann").password.startswith("argon2$argon2id$")


def test_every_member_has_a_uid_of_their_own(make_member: MakeMember) -> None:
    assert make_member("ann").uid != make_member("bob").uid


@pytest.mark.parametrize("username", ["ann", "ANN", " Ann ", "Ａnn"])
def test_a_username_is_taken_in_any_case(make_member: MakeMember, username: str) -> None:
    make_member("ann")
    with pytest.raises(IntegrityError), transaction.atomic():
        make_member(username)
    assert Member.objects.get_by_natural_key(username).username == "ann"


@pytest.mark.parametrize("username", ["", "  "])
def test_a_member_needs_a_username(username: str) -> None:
    with pytest.raises(ValueError, match="username"):
        Member.objects.create_user(username, PASSWORD)


def test_without_a_password_nobody_signs_in() -> None:
    member = Member.objects.create_user("ann")
    assert not member.has_usable_password()
    assert not member.check_password("")


def test_the_database_knows_the_roles(make_member: MakeMember) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        make_member("ann", "emperor")


@pytest.mark.parametrize(
    ("held", "asked", "expected"),
    [
        (["agent"], ["agent"], True),
        (["agent"], ["provider"], False),
        (["agent", "provider"], ["provider"], True),
        (["agent"], ["provider", "agent"], True),
        (["admin"], ["provider"], True),
        (["customer"], ["agent", "provider", "admin"], False),
        ([], ["customer"], False),
    ],
)
def test_one_of_the_roles_is_enough(held: list[str], asked: list[str], expected: bool) -> None:
    assert Member(roles=held).has_role(*asked) is expected
    assert not Member(roles=held, is_active=False).has_role(*asked)


def test_the_name_shown_falls_back_to_the_username() -> None:
    assert Member(username="ann").get_full_name() == "ann"
    assert Member(username="ann", name="Ann Lee").get_full_name() == "Ann Lee"


def test_an_author_is_member_location_instant_and_request(
    make_member: MakeMember, settings: Settings
) -> None:
    request = RequestFactory().post("/")
    request.user = make_member("ann", "agent")
    request.request_id = "r-1"  # type: ignore[attr-defined]
    before = now_us()
    author = author_of(request)
    assert before <= author.now <= now_us()
    assert author.actor == request.user.uid
    assert (author.origin, author.request_id) == (settings.LOCATION_ID, "r-1")


def test_nobody_signed_in_is_no_actor() -> None:
    request = RequestFactory().get("/")
    request.user = AnonymousUser()
    assert author_of(request).actor is None
