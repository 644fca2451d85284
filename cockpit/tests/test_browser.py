"""What only a browser can tell: the keyboard, live search, mending a form in place, axe's rules."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, Page
from pytest_django.live_server_helper import LiveServer

from accounts.authors import now_us
from accounts.models import Member
from customers import commands
from events.drafting import Author

AXE = settings.BASE_DIR / "node_modules/axe-core/axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]

pytestmark = pytest.mark.browser


def _broken_rules(page: Page) -> list[str]:
    page.evaluate(AXE.read_text())
    found = page.evaluate(f"axe.run(document, {{runOnly: {RULES}}})")
    return [item["id"] for item in found["violations"]]


def _note(broken: list[str], said: str) -> None:
    if "Content Security Policy" in said:
        broken.append(said)


@contextmanager
def _browsing(
    browser: Browser, server: LiveServer, session: str, width: int = 1280, theme: str = "light"
) -> Iterator[Page]:
    """Open a signed-in page; nothing may be wrong with it when it is closed."""
    context = browser.new_context(viewport={"width": width, "height": 800}, base_url=server.url)
    for name, value in ((settings.SESSION_COOKIE_NAME, session), ("theme", theme)):
        context.add_cookies([{"name": name, "value": value, "url": server.url}])
    page = context.new_page()
    page.set_default_timeout(10_000)
    broken: list[str] = []
    page.on("pageerror", lambda error: broken.append(str(error)))
    # A refusal by the content security policy is only said in the console.
    page.on("console", lambda said: _note(broken, said.text))
    try:
        yield page
    finally:
        # Open connections of a page would keep the server from ending.
        context.close()
    assert broken == []


@pytest.fixture
def session(transactional_db: None) -> str:
    """The session of a provider at a location with a few customers."""
    member = Member.objects.create_user("provider", "not-used", roles=["provider"])
    for name, surname in (("Maria", "Kowalska"), ("Linh", "Lindqvist"), ("Zoë", "Müller")):
        values = {"name": name, "surname": surname, "dob": "1980-01-31", "phone": "+49 30 1"}
        commands.create_customer(values, Author(member.uid, "loc1", now_us()))
    client = Client()
    client.force_login(member)
    return client.cookies[settings.SESSION_COOKIE_NAME].value


@pytest.mark.feature("W03")
def test_a_customer_is_found_and_opened_by_keyboard_alone(
    browser: Browser, live_server: LiveServer, session: str
) -> None:
    with _browsing(browser, live_server, session) as page:
        page.goto("/sync/")
        page.keyboard.press("/")
        page.keyboard.type("Linqvist")
        page.keyboard.press("Enter")
        page.wait_for_selector("mark")
        assert page.locator("[data-rows] .name").first.inner_text() == "Linh Lindqvist"
        page.locator("#q").focus()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        page.wait_for_url("**/customers/*-*/")
        page.keyboard.press("e")
        page.wait_for_url("**/edit")
        page.locator("h1").click()
        page.keyboard.press("?")
        assert page.locator("dialog[open]").count() == 1
        page.keyboard.press("Escape")
        assert page.locator("dialog[open]").count() == 0
        page.keyboard.press("n")
        page.wait_for_url("**/customers/new")
        page.wait_for_selector("#id_surname:focus")
        page.keyboard.type("Novak")
        page.keyboard.press("Enter")
        page.wait_for_url("**/customers/*-*/")
        assert page.locator("h1").inner_text() == "Novak"


@pytest.mark.feature("W03")
def test_search_answers_as_one_types_and_back_brings_it_again(
    browser: Browser, live_server: LiveServer, session: str
) -> None:
    with _browsing(browser, live_server, session) as page:
        page.goto("/customers/")
        page.locator("#q").press_sequentially("kowalsca")
        page.wait_for_selector("mark")
        assert "q=kowalsca" in page.url
        assert page.evaluate("document.activeElement.id") == "q"
        page.locator("[data-rows] a").first.click()
        page.wait_for_url("**/customers/*-*/")
        page.go_back()
        page.wait_for_selector("mark")
        assert page.locator("html").count() == 1
        page.locator("#q").focus()
        page.keyboard.press("Escape")
        page.wait_for_selector("mark", state="detached")
        assert page.locator("[data-rows] li").count() == 3


@pytest.mark.feature("W03")
def test_a_form_is_mended_in_place(browser: Browser, live_server: LiveServer, session: str) -> None:
    with _browsing(browser, live_server, session) as page:
        page.goto("/customers/new")
        page.fill("#id_surname", "Novak")
        page.fill("#id_email", "nowhere")
        page.click("main button[type=submit]")
        page.wait_for_selector("#id_email[aria-invalid=true]")
        page.wait_for_selector("[data-summary]:focus")
        assert page.input_value("#id_surname") == "Novak"
        page.fill("#id_email", "novak@example.com")
        page.click("main button[type=submit]")
        page.wait_for_url("**/customers/*-*/")
        assert page.locator("h1").inner_text() == "Novak"


@pytest.mark.feature("W03")
def test_an_answer_that_does_not_come_is_told_and_nothing_typed_is_lost(
    browser: Browser, live_server: LiveServer, session: str
) -> None:
    with _browsing(browser, live_server, session) as page:
        page.goto("/customers/")
        page.route("**/customers/?q=*", lambda route: route.abort())
        page.fill("#q", "Novak")
        page.wait_for_selector("#lost:not([hidden])")
        assert page.input_value("#q") == "Novak"


@pytest.mark.feature("W03")
def test_filters_leave_a_small_screen_to_the_lines(
    browser: Browser, live_server: LiveServer, session: str
) -> None:
    with _browsing(browser, live_server, session, 360) as page:
        page.goto("/audit/")
        assert not page.locator("#id_location").is_visible()
        assert page.locator(".audit-lines tr").nth(1).bounding_box()["y"] < 400  # type: ignore[index]
        page.locator("summary", has_text="Filter").focus()
        page.keyboard.press("Enter")
        page.select_option("#id_location", "loc1")
        page.click(".filters button[type=submit]")
        page.wait_for_url("**location=loc1**")
        assert page.locator("#id_location").is_visible()
        assert page.locator(".filter .count").inner_text() == "1 set"
        page.set_viewport_size({"width": 1280, "height": 800})
        page.goto("/audit/")
        assert page.locator("#id_location").is_visible()
        assert not page.locator("summary", has_text="Filter").is_visible()


@pytest.mark.feature("W03")
def test_wide_rows_stand_in_columns_under_their_names(
    browser: Browser, live_server: LiveServer, session: str
) -> None:
    left = "all => all.map(one => Math.round(one.getBoundingClientRect().left))"
    with _browsing(browser, live_server, session) as page:
        page.goto("/customers/")
        for part in (".name", ".fact-dob", ".reach"):
            assert len(set(page.locator(f".people {part}").evaluate_all(left))) == 1, part
        assert page.locator(".heads").is_visible()
        tops = "row => [...row.querySelectorAll('.name, .fact-dob, .reach, .changed')].map(y)"
        y = "one => { const box = one.getBoundingClientRect(); return box.top + box.height / 2; }"
        row = page.locator(".row").first.evaluate(
            f"row => {{ const y = {y}; return ({tops})(row); }}"
        )
        assert max(row) - min(row) < 2  # all in one line
        page.set_viewport_size({"width": 360, "height": 800})
        assert not page.locator(".heads").is_visible()


@pytest.mark.feature("R03")
def test_a_report_is_narrowed_read_and_kept(
    browser: Browser, live_server: LiveServer, session: str
) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is missing: make styles")
    with _browsing(browser, live_server, session, 320) as page:
        page.goto("/customers/")
        page.locator("summary[aria-label='Menu and account']").click()
        page.locator(".menu-pop a", has_text="Reports").click()
        page.wait_for_url("**/reports/transactions/")
        assert page.locator(".chart-bars .part").count() == 1  # today
        page.locator("summary", has_text="Filter").click()
        page.select_option("#id_kind", "customers.entity_created")
        page.click(".filters button[type=submit]")
        page.wait_for_url("**kind=customers.entity_created**")
        assert page.locator(".figure dd").first.inner_text() == "3"
        page.locator("summary", has_text="The same numbers").focus()
        page.keyboard.press("Enter")
        assert page.locator(".chart-table tbody tr").last.is_visible()
        assert _broken_rules(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        with page.expect_download() as kept:
            page.locator("a", has_text="Counts (CSV)").click()
        assert kept.value.suggested_filename.startswith("sins-loc1-counts-")
        page.locator(".chart-table tbody a").last.click()
        page.wait_for_selector("h2:has-text('Transactions by hour')")
        assert page.locator(".figure dd").first.inner_text() == "3"


@pytest.mark.parametrize("width", [1280, 320])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.feature("W10")
def test_pages_keep_to_wcag_2_2_aa_and_never_scroll_sideways(
    browser: Browser, live_server: LiveServer, session: str, theme: str, width: int
) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is missing: make styles")
    with _browsing(browser, live_server, session, width, theme) as page:
        page.goto("/customers/")
        record = urlsplit(str(page.locator("[data-rows] a").first.get_attribute("href"))).path
        for path in ("/customers/", "/customers/?q=Kowalsca", "/customers/new", record,
                     f"{record}?as_of=1999-12-31", f"{record}edit", f"{record}delete", "/audit/",
                     "/reports/transactions/", "/reports/transactions/?start=soon", "/sync/",
                     "/nowhere/"):  # fmt: skip
            page.goto(path)
            assert _broken_rules(page) == [], path
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
