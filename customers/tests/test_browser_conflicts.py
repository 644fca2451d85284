"""The conflict inbox in a browser: by keyboard, many at once, without JavaScript, for everyone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, Page
from pytest_django.live_server_helper import LiveServer

from accounts.models import Member
from customers import queries
from customers.tests.apart import closed_beside_edits, disputed, head_of, item_of, write_elsewhere
from customers.tests.browsing import change, enter
from tests.browsing import AXE, THEMES, broken_rules, complaints, scrolls_sideways, tab_to

pytestmark = [pytest.mark.browser, pytest.mark.feature("S05", "W09", "W10")]


@contextmanager
def browsing(
    browser: Browser, server: LiveServer, session: str, *, has_script: bool = True
) -> Iterator[Page]:
    """Open a signed-in page; nothing may be wrong with it when it is closed."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 800},
        base_url=server.url,
        java_script_enabled=has_script,
        reduced_motion="reduce",
    )
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session,
                          "url": server.url}])  # fmt: skip
    wrong: list[str] = []
    context.on("console", lambda said: wrong.extend(complaints(said)))
    context.on("weberror", lambda error: wrong.append(str(error.error)))
    page = context.new_page()
    page.set_default_timeout(10_000)
    try:
        yield page
    finally:
        context.close()  # open connections of a page would keep the server from ending
    assert wrong == []


@pytest.fixture
def session(transactional_db: None) -> str:
    """The session of a provider."""
    member = Member.objects.create_user("provider", "not-used", roles=["provider"], name="Ann")
    client = Client()
    client.force_login(member)
    return client.cookies[settings.SESSION_COOKIE_NAME].value


def phone(uid: UUID) -> object:
    return queries.get(uid).values.get("phone")


def cards(page: Page) -> int:
    return page.locator(".conflict").count()


def test_keys_lead_from_one_conflict_to_the_next_and_decide(
    browser: Browser, live_server: LiveServer, session: str
) -> None:
    older, newer = disputed(), disputed()
    with browsing(browser, live_server, session) as page:
        page.goto("/customers/")
        page.locator(".site-nav a", has_text="Conflicts").focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**/conflicts/")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        assert page.evaluate("document.activeElement.pathname").count(str(older))
        tab_to(page, "button[value=keep]")
        tab_to(page, "button[value=swap]")
        with page.expect_navigation():
            page.keyboard.press("Enter")
        assert "1 conflict is settled." in page.inner_text("main")
        assert (phone(older), phone(newer), cards(page)) == ("11", "22", 1)
        tab_to(page, ".decide summary")
        page.keyboard.press("Enter")
        tab_to(page, ".enter input[name=value]")
        page.keyboard.press("Control+A")
        page.keyboard.type("33")
        with page.expect_navigation():
            page.keyboard.press("Enter")
        assert phone(newer) == "33"
        assert page.locator("h2", has_text="Nothing to decide").count() == 1
        page.click(".sorts a:has-text('Settled')")
        page.wait_for_url("**state=settled**")
        assert cards(page) == 2


def test_all_on_a_page_at_once(browser: Browser, live_server: LiveServer, session: str) -> None:
    uids = [disputed(), disputed(), closed_beside_edits("phone")]
    with browsing(browser, live_server, session) as page:
        page.goto("/conflicts/")
        page.check("[data-selects]")
        assert page.locator("input[name=item]:checked").count() == 3
        page.locator("input[name=item][type=checkbox]").last.uncheck()
        with page.expect_navigation():
            page.click(".bulk button[value=swap]")
        assert "2 conflicts are settled." in page.inner_text("main")
        assert [phone(uid) for uid in uids] == ["22", "11", "new phone"]
        assert page.locator(".site-nav .count").inner_text().split() == ["1", "open"]


def test_every_step_works_without_javascript(
    browser: Browser, live_server: LiveServer, session: str
) -> None:
    kept, entered, swapped = disputed(), disputed("email", "a@b.c", "d@e.f"), disputed()
    with browsing(browser, live_server, session, has_script=False) as page:
        page.goto(f"/customers/{kept}/")
        with page.expect_navigation():
            page.click("a:has-text('Decide')")
        with page.expect_navigation():
            page.click("button[value=keep] >> nth=-1")
        page.goto("/conflicts/")
        assert not page.locator("[data-selects]").is_visible()
        card = page.locator(".conflict", has_text="E-mail")
        card.locator("summary").click()
        card.locator("input[name=value]").fill("nowhere")
        with page.expect_navigation():
            card.locator("button[value=enter]").click()
        card = page.locator(".conflict", has_text="E-mail")
        assert "Expected an e-mail address." in card.inner_text()
        assert card.locator("input[name=value]").input_value() == "nowhere"
        card.locator("input[name=value]").fill("g@h.i")
        with page.expect_navigation():
            card.locator("button[value=enter]").click()
        page.check("input[name=item][type=checkbox]")
        with page.expect_navigation():
            page.click(".bulk button[value=swap]")
        assert "Nothing to decide" in page.inner_text("main")
    assert (phone(kept), phone(swapped)) == ("22", "11")
    assert queries.get(entered).values["email"] == "g@h.i"
    assert item_of(kept).outline.state == "settled"


def test_pages_are_for_everyone(browser: Browser, live_server: LiveServer, session: str) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is missing: make styles")
    uid = disputed("notes", "Prefers letters to calls. " * 9, "x" * 250, name="Anneliese")
    seen = head_of(uid)
    change(uid, phone="1")
    write_elsewhere(seen, {"email": "a@b.c"}, "loc3")
    closed_beside_edits("phone", "email")
    neither = disputed("owner", str(UUID(int=1)), str(UUID(int=2)))
    change(neither, owner=str(UUID(int=3)))
    parked = disputed()
    write_elsewhere(head_of(parked), {"email": "d@e.f"}, "loc4", is_key_here=False)
    enter(surname="Last")
    with browsing(browser, live_server, session) as page:
        for path in ("/conflicts/", f"/customers/{uid}/", "/conflicts/?state=settled"):
            page.goto(path)
            for details in page.locator(".conflict details").all():
                details.evaluate("each => { each.open = true; }")
            for width in (1280, 900, 320):
                for theme in THEMES:
                    assert broken_rules(page, theme=theme, width=width) == [], (path, theme, width)
                    _keep_picture(page, f"{path.strip('/').replace('/', '-')[:12]}-{width}-{theme}")
                assert not scrolls_sideways(page), (path, width)


def _keep_picture(page: Page, name: str) -> None:
    """Save what is seen where the environment names a directory, to be looked at."""
    if "PICTURES" in os.environ:
        page.screenshot(path=Path(os.environ["PICTURES"]) / f"{name}.png", full_page=True)
