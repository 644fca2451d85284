"""What surrounds every page: location, navigation, appearance, footer, errors, and its rules."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import Member
from cockpit import sync
from cockpit.templatetags import cockpit as tags

pytestmark = pytest.mark.django_db
TEMPLATES = sorted(
    path
    for app in ("cockpit", "customers", "accounts")
    for path in (settings.BASE_DIR / app / "templates").rglob("*.html")
    if path.name != "api_reference.html"  # the API's reference has a policy of its own
)


def _sign_in(client: Client, role: str) -> Member:
    member = Member.objects.create_user(role, "not-used-here", roles=[role])
    client.force_login(member)
    return member


@pytest.mark.feature("W03")
def test_every_page_says_at_which_location_it_is(client: Client) -> None:
    assert "loc1" in client.get("/accounts/login/").content.decode()
    _sign_in(client, "agent")
    text = client.get("/customers/").content.decode()
    assert re.search(r'<span class="loc-badge loc-\d">.*loc1</span>', text)


@pytest.mark.feature("W01")
def test_home_leads_to_the_customers(client: Client) -> None:
    _sign_in(client, "agent")
    response = client.get("/")
    assert response.status_code == 302
    assert response["Location"] == "/customers/"


@pytest.mark.feature("W01")
def test_the_navigation_offers_what_a_role_may_open(client: Client) -> None:
    _sign_in(client, "agent")
    text = client.get("/customers/").content.decode()
    assert 'href="/audit/"' not in text
    assert client.get("/audit/").status_code == 403
    assert client.get("/sync/").status_code == 403
    _sign_in(client, "provider")
    text = client.get("/customers/").content.decode()
    assert 'href="/audit/"' in text
    assert 'href="/sync/"' in text


@pytest.mark.feature("W10")
def test_the_chosen_appearance_is_in_the_page_from_the_start(client: Client) -> None:
    assert "data-theme=" not in client.get("/accounts/login/").content.decode().split(">")[1]
    response = client.post("/theme/", {"theme": "dark", "next": "/accounts/login/"})
    assert response["Location"] == "/accounts/login/"
    assert '<html lang="en" data-theme="dark">' in client.get("/accounts/login/").content.decode()
    client.cookies["theme"] = '"><script>'
    assert "<script>" not in client.get("/accounts/login/").content.decode()


@pytest.mark.parametrize("back", ["https://elsewhere.example/", "//elsewhere.example/", ""])
@pytest.mark.feature("A05")
def test_choosing_an_appearance_leads_nowhere_else(client: Client, back: str) -> None:
    response = client.post("/theme/", {"theme": "neon", "next": back})
    assert response["Location"] == "/"
    assert "theme" not in response.cookies


@pytest.mark.feature("S06")
def test_a_location_without_peers_is_local_only(client: Client) -> None:
    _sign_in(client, "provider")
    assert "local only" in client.get("/customers/").content.decode()
    assert "stands alone" in client.get("/sync/").content.decode()


@pytest.mark.parametrize(
    ("state", "lag", "waiting", "dot", "word"),
    [
        ("equal", 0, 0, "good", "in sync"),
        ("equal", 1, 0, "busy", "catching up, 1 event"),
        ("catching up", 12, 3, "busy", "catching up, 12 events"),
        ("catching up", 0, 3, "busy", "sending 3 writes"),
        ("catching up", 0, 0, "busy", "comparing"),
        ("unreachable", 0, 0, "bad", "a location is out of reach"),
        ("unreachable", 5, 2, "bad", "out of reach, 2 writes only here"),
        ("unequal", 0, 0, "bad", "not equal"),
        ("local only", 0, 0, "local", "local only"),
    ],
)
@pytest.mark.feature("S06")
def test_the_footer_says_it_in_a_word(
    state: str, lag: int, waiting: int, dot: str, word: str
) -> None:
    found = {"state": state, "lag_events": lag, "unreplicated": waiting}
    assert sync.in_words(found) == (dot, word)


@pytest.mark.feature("S06")
def test_the_sync_page_shows_each_peer(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    peer = {
        "location": "loc2",
        "reachable": True,
        "last_contact_at": "2026-01-01T00:00:00+00:00",
        "last_contact_seconds": 2.5,
        "their_seq": 41,
        "applied_seq": 39,
        "lag_events": 2,
        "acknowledged_seq": 7,
        "digest": "abcdef",
        "state": "catching up",
        "clock_offset_ms": -3,
    }
    never = peer | {"location": "loc3", "reachable": False, "state": "unknown"}
    never |= dict.fromkeys(("last_contact_at", "last_contact_seconds", "clock_offset_ms"))
    found = {
        "location": "loc1", "epoch": 1, "seq": 9, "digest": "abcdef", "unreplicated": 2,
        "oldest_unreplicated_seconds": 75, "dead_letters": 0, "parked": 4, "conflicts": 1,
        "peers": [peer, never],
    }  # fmt: skip
    monkeypatch.setattr("events.status.sync_status", lambda: found)
    _sign_in(client, "provider")
    text = client.get("/sync/").content.decode()
    for said in ("catching up, 2 events", "39 / 41", "7 / 9", "-3 ms", "75 seconds", "never"):
        assert said in text


@pytest.mark.feature("W03")
def test_a_page_that_is_not_there_says_so(client: Client) -> None:
    response = client.get("/nowhere/")
    assert response.status_code == 404
    assert "There is nothing at this address" in response.content.decode()


@pytest.mark.feature("W03")
def test_what_breaks_inside_is_a_sentence_not_a_traceback(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a secret of the inside")

    _sign_in(client, "agent")
    monkeypatch.setattr("customers.queries.present", broken)
    client.raise_request_exception = False
    response = client.get("/customers/")
    assert response.status_code == 500
    assert "Something went wrong on our side" in response.content.decode()
    assert "secret" not in response.content.decode()


@pytest.mark.feature("W03")
def test_that_page_keeps_its_appearance_and_asks_no_database(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OperationalError

    _sign_in(client, "agent")
    client.cookies["theme"] = "dark"
    monkeypatch.setattr("django.contrib.sessions.backends.db.SessionStore.load", broken)
    client.raise_request_exception = False
    with CaptureQueriesContext(connection) as asked:
        response = client.get("/customers/")
    assert response.status_code == 500
    assert '<html lang="en" data-theme="dark">' in response.content.decode()
    assert len(asked) == 0


@pytest.mark.feature("A05")
def test_pages_may_load_only_what_is_their_own(client: Client) -> None:
    policy = client.get("/accounts/login/")["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
@pytest.mark.feature("A05")
def test_no_template_has_inline_script_or_style(path: Path) -> None:
    text = path.read_text()
    for found in re.findall(r"<script\b[^>]*>", text):
        assert "src=" in found
    assert "<style" not in text
    assert not re.search(r"\s(style|on\w+|hx-on[\w:-]*)=", text)
    assert "javascript:" not in text
    assert "hx-vals='js" not in text


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
@pytest.mark.feature("W03")
def test_what_htmx_does_a_link_or_form_does_too(path: Path) -> None:
    """Every hx-get and hx-post stands in an element whose href or action says the same."""
    for tag in re.findall(
        # Each character is read in one way only, or a long tag would take minutes.
        r"<\w+(?:{%.*?%}|(?!{%)[^<>])*?\bhx-(?:get|post)=(?:{%.*?%}|(?!{%)[^<>])*>",
        path.read_text(),
    ):
        asked = re.search(r'hx-(?:get|post)="([^"]*)"', tag)
        plain = re.search(r'\s(?:href|action)="([^"]*)"', tag)
        assert asked
        assert plain
        assert asked[1] == plain[1]


@pytest.mark.feature("A05")
def test_the_style_sheet_loads_only_its_own_fonts() -> None:
    css = (settings.BASE_DIR / "cockpit/static/cockpit/app.css").read_text()
    addresses = set(re.findall(r"url\(([^)]*)\)", css))
    assert addresses
    for address in addresses:
        assert (settings.BASE_DIR / "cockpit/static/cockpit" / address.strip("\"'")).is_file()


@pytest.mark.feature("W03")
def test_neighbouring_locations_differ_in_colour() -> None:
    assert len({tags.location_class(f"loc{number}") for number in range(1, 7)}) == 6
    assert tags.location_class("") == ""
