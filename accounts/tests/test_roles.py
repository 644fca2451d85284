"""Every page and every API view is allowed by role, and every refusal is logged."""

from __future__ import annotations

import pytest
from django.test import Client

from accounts.authors import now_us
from accounts.models import Access
from accounts.roles import HasRole, require_role
from accounts.tests.people import MakeMember
from accounts.tokens import issue

pytestmark = [pytest.mark.django_db, pytest.mark.feature("A02"), pytest.mark.usefixtures("probes")]

ALLOWED = {"agent": True, "provider": True, "admin": True, "customer": False, None: False}


@pytest.mark.parametrize("role", ALLOWED)
def test_a_page_is_seen_by_its_roles_and_admins(
    client: Client, make_member: MakeMember, role: str | None
) -> None:
    member = make_member("ann", *([role] if role else []))
    client.force_login(member)
    page = client.get("/probe/page")
    assert (page.status_code == 200) is ALLOWED[role]
    if not ALLOWED[role]:
        assert page.status_code == 403
        assert "403.html" in [template.name for template in page.templates]
        line = Access.objects.get()
        assert (line.kind, line.outcome, line.actor) == ("refusal", "lacks_role", member.uid)
        assert line.route == "probe/page"


@pytest.mark.parametrize("role", ALLOWED)
@pytest.mark.api
def test_an_api_view_is_open_to_its_roles_and_admins(
    client: Client, make_member: MakeMember, role: str | None
) -> None:
    member = make_member("ann", *([role] if role else []))
    token = issue(member, "test", now_us())
    answer = client.get("/probe/api", headers={"authorization": f"Token {token}"})
    assert answer.status_code == (200 if ALLOWED[role] else 403)
    refusals = Access.objects.filter(kind="refusal", outcome="lacks_role", actor=member.uid)
    assert refusals.count() == (0 if ALLOWED[role] else 1)


def test_a_superuser_passes_without_a_role(client: Client, make_member: MakeMember) -> None:
    member = make_member("root")
    member.is_superuser = True
    member.save()
    client.force_login(member)
    assert client.get("/probe/page").status_code == 200


def test_a_stranger_is_asked_to_sign_in_and_comes_back(client: Client) -> None:
    answer = client.get("/probe/page?q=a")
    assert answer.status_code == 302
    assert answer["Location"] == "/accounts/login/?next=/probe/page%3Fq%3Da"


def test_a_stranger_who_sent_a_form_does_not_come_back_to_it(client: Client) -> None:
    assert client.post("/probe/page")["Location"] == "/accounts/login/?next=/"


def test_a_fragment_sends_the_whole_page_to_the_sign_in(client: Client) -> None:
    headers = {"HX-Request": "true", "HX-Current-URL": "http://testserver/customers?q=a"}
    answer = client.get("/probe/page", headers=headers)
    assert answer.status_code == 401
    assert answer["HX-Redirect"] == "/accounts/login/?next=/customers%3Fq%3Da"


@pytest.mark.api
def test_a_stranger_at_the_api_is_told_how_to_show_a_token(client: Client) -> None:
    answer = client.get("/probe/api")
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Token"
    assert Access.objects.get().outcome == "unauthenticated"


@pytest.mark.api
@pytest.mark.parametrize(("role", "status"), [("provider", 403), ("admin", 200)])
def test_a_view_that_names_no_roles_is_closed(
    client: Client, make_member: MakeMember, role: str, status: int
) -> None:
    client.force_login(make_member("ann", role))
    assert client.get("/probe/forgetful").status_code == status


@pytest.mark.parametrize("roles", [(), ("agnt",), ("agent", "")])
def test_a_role_nobody_has_is_a_mistake_found_at_start(roles: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="roles"):
        HasRole(*roles)
    with pytest.raises(ValueError, match="roles"):
        require_role(*roles)


@pytest.mark.parametrize("header", ["X-Role", "X-User"])
def test_a_header_grants_nothing(client: Client, make_member: MakeMember, header: str) -> None:
    client.force_login(make_member("ann", "customer"))
    assert client.get("/probe/page", headers={header: "admin"}).status_code == 403
