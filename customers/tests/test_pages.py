"""The customers' list and records as a browser without JavaScript, and htmx, meet them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from accounts.authors import now_us
from accounts.models import Access, Member
from customers.commands import When
from customers.tests.apart import head_of, write_elsewhere
from customers.tests.browsing import HTMX, address, change, enter, page_text, sign_in
from events.models import Event
from events.stamp import to_datetime, to_micros

pytestmark = pytest.mark.django_db


# ---- who may enter ----


@pytest.mark.feature("W01")
def test_who_is_not_signed_in_is_asked_to(client: Client) -> None:
    response = client.get("/customers/?q=a")
    assert response.status_code == 302
    assert response["Location"].startswith("/accounts/login/?next=/customers/")


@pytest.mark.feature("W01")
def test_a_customer_may_open_no_page(client: Client) -> None:
    sign_in(client, "customer")
    uid = enter(surname="Rayleigh")
    for path in ("/customers/", "/customers/new", address("record", uid), address("edit", uid)):
        response = client.get(path)
        assert response.status_code == 403
        assert "Rayleigh" not in page_text(response)


# ---- list and search ----


@pytest.mark.feature("W03")
def test_an_empty_location_invites_to_enter_the_first_customer(
    client: Client, agent: Member
) -> None:
    response = client.get("/customers/")
    assert response.status_code == 200
    assert "No customers yet" in page_text(response)
    assert "/customers/new" in page_text(response)


@pytest.mark.feature("C02")
def test_the_list_shows_customers_with_where_they_are_from(client: Client, agent: Member) -> None:
    enter(surname="Rayleigh", name="Mo", phone="+1 555", origin="loc2")
    text = page_text(client.get("/customers/"))
    assert "Mo Rayleigh" in text
    assert "+1 555" in text
    assert 'class="loc loc-' in text
    assert "loc2" in text


@pytest.mark.feature("C02")
def test_the_list_asks_no_more_for_more_customers(client: Client, agent: Member) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.get("/customers/").status_code == 200
        return len(queries)

    enter(surname="Rayleigh", phone="+1 555", company="Rays")
    few = asked()
    for number in range(9):
        enter(surname=f"Rayleigh{number}", dob="1980-01-31", document_number=f"C{number}")
    assert asked() == few


@pytest.mark.feature("C02")
def test_the_list_is_paged_and_ordered(client: Client, agent: Member) -> None:
    for number in range(52):
        enter(surname=f"Rayleigh{number:02}")
    first, second = (
        client.get("/customers/?order=name"),
        client.get("/customers/?order=name&page=2"),
    )
    assert "Rayleigh00" in page_text(first)
    assert "Rayleigh50" not in page_text(first)
    assert "Rayleigh50" in page_text(second)
    assert "Rayleigh51" in page_text(client.get("/customers/?order=newest"))
    assert "nothing on this page" in page_text(client.get("/customers/?page=9"))


@pytest.mark.feature("C04", "W03")
def test_a_fuzzy_search_marks_letters_and_gives_reasons(client: Client, agent: Member) -> None:
    enter(surname="Kowalska", name="Maria")
    response = client.get("/customers/", {"q": "Kowalsca", "mode": "fuzzy"})
    text = page_text(response)
    assert "<mark>" in text
    assert "<meter" in text
    assert "“Kowalsca” ≈ “Kowalska”" in text


@pytest.mark.feature("C03", "W03")
def test_an_exact_search_needs_every_term(client: Client, agent: Member) -> None:
    enter(surname="Kowalska", name="Maria")
    found = page_text(client.get("/customers/", {"q": "maria kowalska", "mode": "exact"}))
    assert re.search(r"<mark>Maria</mark>", found)
    missed = page_text(client.get("/customers/", {"q": "maria nowak", "mode": "exact"}))
    assert "No hits" in missed
    assert "Create “maria nowak”" in missed
    assert "/customers/new?q=maria%20nowak" in missed


@pytest.mark.feature("W03")
def test_htmx_gets_the_results_alone_and_the_whole_page_on_back(
    client: Client, agent: Member
) -> None:
    part = client.get("/customers/?q=a", headers=HTMX)
    assert page_text(part).lstrip().startswith('<div id="results">')
    assert "HX-Request" in part["Vary"]
    back = {"HX-Request": "true", "HX-History-Restore-Request": "true"}
    assert "<html" in page_text(client.get("/customers/?q=a", headers=back))


@pytest.mark.parametrize(
    "query", ["page=0", "page=x", "mode=loud", f"q={'a+' * 30}", f"q={'a' * 201}"]
)
@pytest.mark.feature("W03")
def test_a_search_that_cannot_be_is_told_so(client: Client, agent: Member, query: str) -> None:
    response = client.get(f"/customers/?{query}")
    assert response.status_code == 400
    assert 'role="alert"' in page_text(response)


@pytest.mark.feature("A02")
def test_a_search_is_in_the_access_log_without_its_words(client: Client, agent: Member) -> None:
    client.get("/customers/?q=Kowalska")
    line = Access.objects.get(kind="search")
    assert line.actor == agent.uid
    assert "Kowalska" not in repr(line.__dict__)


@pytest.mark.feature("A05")
def test_what_people_typed_is_never_markup(client: Client, agent: Member) -> None:
    uid = enter(surname="<script>alert(1)</script>", notes="<img src=x onerror=y>")
    pages = [
        client.get("/customers/"),
        client.get("/customers/", {"q": "script alert"}),
        client.get("/customers/", {"q": "<script>"}),
        client.get(address("record", uid)),
        client.get(address("edit", uid)),
        client.get(address("delete", uid)),
    ]
    for page in pages:
        assert "<script>alert" not in page_text(page)
        assert "<img src=x" not in page_text(page)


# ---- the record ----


@pytest.mark.feature("T04", "W03")
def test_the_history_shows_old_and_new_newest_first(client: Client, agent: Member) -> None:
    uid = enter(surname="Rayleigh", phone="1")
    change(uid, "loc2", phone="2")
    text = page_text(client.get(address("record", uid)))
    timeline = text[text.index('class="timeline"') :]
    assert re.search(r'<del class="was">1</del>.*?<span class="now">2</span>', timeline, re.DOTALL)
    assert timeline.index("loc2") < timeline.index("entered")


@pytest.mark.feature("T04", "W03")
def test_each_time_tells_its_second_and_zone_to_who_asks(
    client: Client, agent: Member, settings: Settings
) -> None:
    settings.DISPLAY_TIME_ZONE = ZoneInfo("Europe/Berlin")
    at = datetime(2026, 3, 31, 12, 30, 15, tzinfo=UTC)
    uid = enter(surname="Rayleigh", when=When(effective=to_micros(at)))
    text = page_text(client.get(address("record", uid)))
    times = re.findall(
        r'<time datetime="2026-03-31T12:30:15\+00:00" title="([^"]*)">([^<]*)<', text
    )
    assert times
    assert set(times) == {("2026-03-31 14:30:15 CEST", "2026-03-31 14:30")}


@pytest.mark.feature("T09")
def test_a_record_can_be_seen_as_it_was_known(client: Client, agent: Member) -> None:
    uid = enter(surname="Rayleigh")
    at = to_datetime(now_us()).isoformat()
    change(uid, surname="May")
    known = page_text(client.get(address("record", uid), {"known_at": at}))
    assert "<h1>Rayleigh</h1>" in known
    assert "as loc1 knew it" in known
    long_ago = (to_datetime(now_us()) - timedelta(days=9)).date().isoformat()
    nothing = client.get(address("record", uid), {"as_of": long_ago})
    assert "There was no open record then" in page_text(nothing)


@pytest.mark.feature("T09")
@pytest.mark.feature("S09")
@pytest.mark.parametrize(
    "given", [{"is_key_here": False}, {"type": "customers.of_a_later_release"}], ids=str
)
def test_a_record_that_waits_for_an_event_is_shown_and_what_it_was_is_not_guessed(
    client: Client, provider: Member, given: dict[str, Any]
) -> None:
    uid = enter(surname="Rayleigh")
    before = to_datetime(now_us()).isoformat()
    write_elsewhere(head_of(uid), {"email": "a@b.c"}, **given)
    at = to_datetime(now_us()).isoformat()
    now = page_text(client.get(address("record", uid)))
    assert "<h1>Rayleigh</h1>" in now
    assert "Until then it is read-only." in now
    for query in ({"as_of": at}, {"known_at": at}):
        response = client.get(address("record", uid), query)
        assert response.status_code == 200
        assert "One of its events cannot be read here yet." in page_text(response)
    earlier = client.get(address("record", uid), {"known_at": before})
    assert "cannot be read" not in page_text(earlier)
    assert client.get(f"/audit/?entity={uid}").status_code == 200
    assert client.get(f"/conflicts/?entity={uid}").status_code == 200


@pytest.mark.parametrize("query", ["as_of=soon", "known_at=2026-13-01", "as_of=9999-12-31"])
@pytest.mark.feature("T09")
def test_a_moment_that_is_none_is_told_by_its_field(
    client: Client, agent: Member, query: str
) -> None:
    uid = enter(surname="Rayleigh")
    response = client.get(f"{address('record', uid)}?{query}")
    assert response.status_code == 400
    assert f'id="wrong-{query.partition("=")[0]}"' in page_text(response)


def test_what_never_was_has_a_page_that_says_so(client: Client, agent: Member) -> None:
    for name in ("record", "edit", "delete"):
        response = client.get(address(name, UUID(int=7)))
        assert response.status_code == 404
        assert "nothing at this address" in page_text(response)


@pytest.mark.feature("A02")
def test_looking_records_nothing(client: Client, provider: Member) -> None:
    uid = enter(surname="Rayleigh")
    before = Event.objects.count()
    for path in ("/customers/", "/customers/?q=Rayleigh", "/customers/new"):
        client.get(path)
    for name in ("record", "edit", "delete"):
        assert client.get(address(name, uid)).status_code == 200
    assert client.get(address("restore", uid)).status_code == 405
    assert Event.objects.count() == before
