"""The page of the audit log."""

from __future__ import annotations

import html
import re
from uuid import uuid4

import pytest
from django.test import Client

from accounts.authors import now_us
from accounts.models import Member
from customers import commands
from customers.commands import When
from customers.labels import HAPPENED
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
    for said in ("loc3", "Asked for it", '<span class="now">provider</span>'):
        assert said in text
    assert "No lines" in client.get("/audit/", {"end": "1969-12-31"}).content.decode()


def _cells(text: str, label: str) -> list[str]:
    """Return what stands in a column of the page, without its marks."""
    cells = re.findall(rf'<td data-label="{label}">(.*?)</td>', text, re.DOTALL)
    return [" ".join(re.sub(r"<[^>]*>", " ", cell).split()) for cell in cells]


@pytest.mark.feature("T05")
def test_lines_and_filters_speak_as_a_records_history_does(
    client: Client, provider: Member
) -> None:
    uid, _ = commands.create_customer({"surname": "Ray", "phone": "1"}, _author())
    commands.change_customer(uid, {"surname": "May", "phone": None}, _author())
    commands.delete_customer(uid, _author())
    commands.restore_customer(uid, _author())
    text = client.get("/audit/", {"entity": str(uid)}).content.decode()
    columns = (_cells(text, label) for label in ("What", "Field", "Change"))
    assert list(zip(*columns, strict=True)) == [
        ("opened again", "Record", "from closed → to open"),
        ("closed", "Record", "closed"),
        ("removed", "Phone", "from 1 → to removed"),
        ("changed", "Surname", "from Ray → to May"),
        ("entered", "Phone", "1"),
        ("entered", "Surname", "Ray"),
        ("entered", "Type", "Person"),
    ]
    choices = dict(re.findall(r'<option value="(INSERT|UPDATE|DELETE)">([^<]*)<', text))
    said = {word for choice in choices.values() for word in choice.split(" or ")}
    assert said == set(HAPPENED.values())
    history = client.get(f"/customers/{uid}/").content.decode()
    acts = re.findall(r'<span class="act act-\w+">([^<]*)<', history)
    assert acts == ["opened again", "closed", "entered"]


@pytest.mark.feature("T05")
def test_a_log_without_a_line_says_why(client: Client, provider: Member) -> None:
    assert "Nothing has been recorded yet" in client.get("/audit/").content.decode()
    filtered = client.get("/audit/", {"location": "loc1"}).content.decode()
    assert "Nothing that was recorded fits these filters." in filtered


@pytest.mark.feature("W03")
def test_filters_are_folded_away_until_one_is_set(client: Client, provider: Member) -> None:
    uid, _ = commands.create_customer({"surname": "Ray"}, _author())
    text = client.get("/audit/").content.decode()
    assert '<details class="sheet disclosure filter">' in text
    assert 'class="count"' not in text
    text = client.get("/audit/", {"entity": str(uid), "operation": "INSERT"}).content.decode()
    assert '<details class="sheet disclosure filter" open>' in text
    assert '<span class="count">2 set</span>' in text
    assert " open>" in client.get("/audit/?start=soon").content.decode()


@pytest.mark.feature("T05")
def test_a_member_of_another_location_is_named_by_it(client: Client, provider: Member) -> None:
    theirs = uuid4()
    author = Author(theirs, "loc2", now_us())
    uid, _ = commands.create_customer({"surname": "Ray", "owner": str(theirs)}, author)
    named = f'<span title="Member {str(theirs)[:8]}…">a member of loc2</span>'
    audit = client.get("/audit/", {"entity": str(uid)}).content.decode()
    record = client.get(f"/customers/{uid}/").content.decode()
    assert named in audit
    assert record.count(named) == 3  # with the two values and in the history
    for text in (audit, record):
        assert "a member of another location" in text  # the owner: nobody says where from
        assert f">{str(theirs)[:8]}" not in text


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
    assert seen == ["open", "1", "Ray", "Person"]
