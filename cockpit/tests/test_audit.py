"""The page of the audit log."""

from __future__ import annotations

import html
import re

import pytest
from django.test import Client

from accounts.authors import now_us
from accounts.models import Member
from customers import commands
from customers.commands import When
from events.drafting import Author

pytestmark = pytest.mark.django_db


def _author(origin: str = "loc1") -> Author:
    return Author(None, origin, now_us(), "request-1")


@pytest.fixture
def provider(client: Client) -> Member:
    """A provider who is signed in with ``client``."""
    member = Member.objects.create_user("provider", "not-used", roles=["provider"])
    client.force_login(member)
    return member


@pytest.mark.feature("T05")
def test_the_page_shows_lines_and_leads_to_records(client: Client, provider: Member) -> None:
    uid, _ = commands.create_customer({"surname": "Ray"}, _author("loc3"))
    changes = {"surname": "May", "owner": str(provider.uid)}
    commands.change_customer(uid, changes, _author(), when=When(reason="Asked for it"))
    text = client.get("/audit/", {"entity": str(uid)}).content.decode()
    assert f"/customers/{uid}/" in text
    assert re.search(r'<del class="was">Ray</del>.*<span class="now">May</span>', text, re.DOTALL)
    for said in ("loc3", "INSERT", "UPDATE", "Asked for it", '<span class="now">provider</span>'):
        assert said in text
    assert "No lines" in client.get("/audit/", {"end": "1969-12-31"}).content.decode()


@pytest.mark.parametrize(
    "query",
    ["entity=x", "actor=nobody", "location=nowhere", "start=soon", "after=1.2.3", "operation=READ",
     "start=2026-02-01&end=2026-01-01"],
)  # fmt: skip
@pytest.mark.feature("T05")
def test_filters_that_cannot_be_are_told(client: Client, provider: Member, query: str) -> None:
    response = client.get(f"/audit/?{query}")
    assert response.status_code == 400
    assert 'class="wrong"' in response.content.decode()


@pytest.mark.feature("T05")
def test_older_lines_are_a_page_further(
    client: Client, provider: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cockpit.audit.LINES_A_PAGE", 1)
    uid, _ = commands.create_customer({"surname": "Ray", "phone": "1"}, _author())
    commands.delete_customer(uid, _author())
    commands.restore_customer(uid, _author())
    seen: list[str] = []
    query = "location=loc1&operation=INSERT"
    while query:
        text = client.get(f"/audit/?{query}").content.decode()
        seen += re.findall(r'<span class="now">([^<]*)</span>', text)
        found = re.search(r'rel="next" href="\?([^"]*)"', text)
        query = html.unescape(found[1]) if found else ""
        assert "operation=INSERT" in query or not query
    assert seen == ["no", "1", "Ray", "PERSON"]
