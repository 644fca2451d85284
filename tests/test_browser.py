"""What people see: three locations in a real browser, then one of them key by key, page by page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from uuid import uuid4

import pytest
from django.urls import URLResolver, get_resolver
from playwright.sync_api import Error, Page, Route

from ops.screenshots import shots
from ops.screenshots.shots import Shot
from ops.tests.test_demo import wait_for
from tests.browsing import (
    AXE,
    THEMES,
    WIDTHS,
    Sites,
    broken_rules,
    edit,
    enter,
    figure,
    history_of,
    path_of,
    reload_until,
    scrolls_sideways,
    sign_in,
    submit,
    tab_to,
    values_of,
    watch_until,
)

pytestmark = pytest.mark.browser

ROWS = "[data-rows] a:not(.row-new)"


@pytest.fixture(scope="module")
def record(sites: Sites) -> str:
    """The page of a customer that was changed, closed and opened again."""
    with sites.browsing(role="provider") as page:
        path = enter(page, surname=surname(), name="Anneliese", phone="030 1", dob="1961-04-12")
        edit(page, path, phone="030 2", company="Bäckerei Müller & Töchter", reason="She called")
        page.goto(f"{path}delete")
        submit(page)
        page.click("main form[action$=restore] button")
        page.wait_for_selector("[data-key=e]")
    return path


def surname() -> str:
    """Return a surname that nobody has."""
    return "Q" + uuid4().hex.translate(str.maketrans("0123456789", "ghijklmnop"))[:11]


# Three locations


@pytest.mark.feature("W03")
@pytest.mark.feature("S01")
@pytest.mark.feature("S04")
def test_three_locations_show_one_history(sites: Sites) -> None:
    name = surname()
    with (
        sites.browsing("loc1", role=None) as one,
        sites.browsing("loc2") as two,
        sites.browsing("loc3") as three,
        sites.browsing("loc3", role="provider") as sync,
    ):
        record = _enter_by_keyboard(sites, one, name)
        for page in (two, three):
            page.goto(record)
            reload_until(page, lambda page: page.locator("dl.values").count() == 1)
            assert values_of(page) == values_of(one)
        sync.goto("/sync/")
        conflicts = int(figure(sync, "Conflicts"))

        sites.demo.word("cut", "loc3")
        try:
            edit(one, record, phone="+49 30 111")
            edit(three, record, phone="+49 30 333")
            edit(three, record, email="three@example.org")
            reload_until(two, lambda page: values_of(page)["Phone"] == "+49 30 111")
            _still_works(three, record, name)
            watch_until(sync, _is_alone)
        finally:
            sites.demo.word("heal", "loc3")

        for page in (one, two, three):
            page.goto(record)
            reload_until(page, _has_all)
        _agree(sites, [one, two, three], record)
        watch_until(sync, lambda page: int(figure(page, "Conflicts")) == conflicts + 1)
        reload_until(sync, lambda page: "in sync" in page.inner_text("footer"))


def _has_all(page: Page) -> bool:
    """Whether the record page shows the last of the four events, in its values and its history."""
    return values_of(page)["E-mail"] == "three@example.org" and page.locator(".moment").count() == 4


def _agree(sites: Sites, pages: list[Page], record: str) -> None:
    """Check that what happened is the same everywhere, on the pages and by the API."""
    for page in pages:
        assert values_of(page) == values_of(pages[0])
        assert history_of(page) == history_of(pages[0])
    values = values_of(pages[0])
    assert (values["Phone"], values["E-mail"]) == ("+49 30 333", "three@example.org")
    assert "+49 30 111" in history_of(pages[2])  # what did not stand is not lost
    histories = [_history(sites, number, record) for number in (1, 2, 3)]
    assert histories[0] == histories[1] == histories[2]


def _enter_by_keyboard(sites: Sites, page: Page, name: str) -> str:
    """Sign in and enter a customer without a mouse; return the path of its page."""
    page.goto("/")
    tab_to(page, "input[name=login]")
    page.keyboard.type("agent")
    tab_to(page, "input[name=password]")
    page.keyboard.type(sites.password("loc1", "agent"))
    page.keyboard.press("Enter")
    page.wait_for_url("**/customers/")
    page.wait_for_selector("#q:focus")
    page.keyboard.press("Escape")  # out of the search, where letters are letters
    page.keyboard.press("n")
    page.wait_for_url("**/customers/new")
    for field, value in (("surname", name), ("name", "Ada"), ("phone", "+49 30 000")):
        tab_to(page, f"#id_{field}")
        page.keyboard.type(value)
    page.keyboard.press("Enter")
    page.wait_for_url("**/customers/*-*/")
    assert page.locator("h1").inner_text() == f"Ada {name}"
    return path_of(page)


def _still_works(page: Page, record: str, name: str) -> None:
    """Use every page of an agent at a location that is cut off, to the footer's word for it."""
    for path in ("/customers/", f"/customers/?q={name}", record, f"{record}edit"):
        answer = page.goto(path)
        assert answer is not None
        assert answer.status == 200
    enter(page, surname=surname())
    reload_until(page, lambda page: "out of reach, 3 writes only here" in page.inner_text("footer"))


def _is_alone(page: Page) -> bool:
    reached = page.locator("td[data-label=Reached]").all_inner_texts()
    return [text.partition(",")[0] for text in reached] == ["no", "no"]


def _history(sites: Sites, number: int, record: str) -> Any:
    uid = record.strip("/").rpartition("/")[2]
    with sites.demo.client(number) as client:
        answer = client.get(f"/api/v1/entities/{uid}/history")
        assert answer.status_code == 200
        return answer.json()


# One location, key by key


@pytest.mark.feature("W03")
def test_an_old_answer_never_overwrites_a_newer_one(sites: Sites) -> None:
    with sites.browsing() as page:
        name = surname()
        enter(page, surname=name)
        page.goto("/customers/")
        held: list[Route] = []

        def hold(route: Route) -> None:
            held.append(route)

        page.route("**/customers/?q=matthews*", hold)
        page.locator("#q").press_sequentially("matthews")
        wait_for(lambda: bool(page.evaluate("1")) and bool(held))
        page.fill("#q", name)
        page.wait_for_selector("mark")
        for route in held:
            with suppress(Error):  # it may have been given up: that is how it never arrives
                route.fulfill(body='<div id="results">an old answer</div>')
        page.evaluate("fetch('/healthz').then(() => new Promise(requestAnimationFrame))")
        assert page.locator(".row .name").first.inner_text() == name
        assert f"q={name}" in page.url


@pytest.mark.feature("W03")
def test_a_stale_form_shows_both_values_and_keeps_what_is_chosen(sites: Sites) -> None:
    with sites.browsing() as mine, sites.browsing(role="provider") as theirs:
        record = enter(mine, surname=surname(), phone="1", company="Old")
        mine.goto(f"{record}edit")
        edit(theirs, record, phone="2", company="Theirs", email="theirs@example.org")
        mine.fill("#id_phone", "3")
        mine.fill("#id_company", "Mine")
        mine.fill("#id_notes", "Kept")
        mine.click("main button[type=submit]")
        mine.wait_for_selector(".versus")
        shown = mine.locator(".versus-row").all_inner_texts()
        assert [["3" in text, "2" in text] for text in shown if "Phone" in text] == [[True, True]]
        assert ["Mine" in text and "Theirs" in text for text in shown if "Company" in text] == [
            True
        ]
        mine.check("input[name=take_phone][value=current]")
        mine.check("input[name=take_company][value=mine]")
        mine.click("main button[type=submit]")
        mine.wait_for_url(f"**{record}")
        values = values_of(mine)
        assert (values["Phone"], values["Company"], values["Notes"]) == ("2", "Mine", "Kept")
        assert values["E-mail"] == "theirs@example.org"


@pytest.mark.feature("W03")
def test_every_step_works_without_javascript(sites: Sites) -> None:
    name = surname()
    with sites.browsing(role=None, has_script=False) as page:
        sign_in(page, "provider", sites.password("loc1", "provider"))
        assert page.locator(ROWS).count() == 50
        record = enter(page, surname=name, name="Ada", email="nowhere")
        assert page.locator("#id_email[aria-invalid=true]").count() == 1
        page.fill("#id_email", "ada@example.org")
        submit(page)
        record = path_of(page)
        edit(page, record, phone="+49 30 5")
        assert "+49 30 5" in page.inner_text("dl.values")
        page.goto("/customers/")
        page.fill("#q", f"Ada {name}")
        with page.expect_navigation():
            page.click("#search button[type=submit]")
        assert page.locator(ROWS).first.get_attribute("href") == record
        with page.expect_navigation():
            page.locator(ROWS).first.click()
        with page.expect_navigation():
            page.click(f"a[href='{record}delete']")
        submit(page)
        assert "This record is closed" in page.inner_text("main")
        submit(page)
        assert "The record is open again." in page.inner_text("main")
        page.click("summary[aria-label='Menu and account']")
        with page.expect_navigation():
            page.click("button[name=theme][value=dark]")
        assert page.locator("html[data-theme=dark]").count() == 1


@pytest.mark.feature("W03")
@pytest.mark.feature("W10")
def test_keys_lead_everywhere(sites: Sites, record: str) -> None:
    with sites.browsing() as page:
        page.goto(record)
        page.keyboard.press("/")
        page.keyboard.type("matthews")
        assert path_of(page) == record  # letters, not orders
        page.keyboard.press("Enter")
        page.wait_for_selector("mark")
        rows = page.locator(ROWS)
        tab_to(page, "#q")
        for key, at in (("ArrowDown", 0), ("ArrowDown", 1), ("ArrowUp", 0)):
            page.keyboard.press(key)
            assert rows.nth(at).evaluate("row => row === document.activeElement")
        page.keyboard.press("ArrowUp")
        assert page.evaluate("document.activeElement.id") == "q"
        page.keyboard.press("Escape")
        page.wait_for_selector("mark", state="detached")
        page.keyboard.press("ArrowDown")
        opened = str(rows.first.get_attribute("href"))
        page.keyboard.press("Enter")
        page.wait_for_url(f"**{opened}")


@pytest.mark.feature("W03")
@pytest.mark.feature("W10")
def test_keys_are_explained_and_can_be_switched_off(sites: Sites, record: str) -> None:
    with sites.browsing() as page:
        page.goto(record)
        page.keyboard.press("e")
        page.wait_for_url(f"**{record}edit")
        page.keyboard.press("?")
        page.wait_for_selector("dialog[open]")
        page.keyboard.press("n")  # belongs to the dialog
        tab_to(page, "#single-keys")
        page.keyboard.press("Space")
        page.keyboard.press("Escape")
        page.wait_for_selector("dialog:not([open])", state="attached")
        page.keyboard.press("n")  # switched off
        page.reload()
        assert path_of(page) == f"{record}edit"


# Every page, light and dark, wide and narrow


def _sign_out(page: Page, record: str) -> None:
    page.goto("/accounts/logout/")


def _form_expired(page: Page, record: str) -> None:
    page.goto("/accounts/login/")
    page.context.clear_cookies()
    submit(page)


def _closed(page: Page, record: str) -> None:
    path = enter(page, surname=surname())
    page.goto(f"{path}delete")
    submit(page)


def _own(path: str) -> Any:
    return lambda page, record: page.goto(path)


SHOTS = [
    *shots.signed_in(),
    *shots.signed_out(),
    Shot("sign-out", _sign_out),
    Shot("form-expired", _form_expired, ""),
    Shot("customer-closed", _closed, "agent"),
    Shot("no-work-here", _own("/"), "customer"),
]
LOOKED_AT = {
    "account_login", "account_logout", "home", "list", "new", "record", "edit", "delete", "audit",
    "conflicts", "transactions", "sync",
}  # fmt: skip
NO_PAGES = {
    "restore", "resolve", "retry", "theme", "transactions-file", "counts-file", "healthz", "readyz",
    "auth-token", "api-schema",
}  # fmt: skip


@pytest.mark.feature("W10")
@pytest.mark.parametrize("shot", SHOTS, ids=lambda shot: shot.name)
def test_pages_are_for_everyone(sites: Sites, record: str, shot: Shot) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is missing: make styles")
    with sites.browsing(role=shot.who or None) as page:
        shot.reach(page, record)
        for width in WIDTHS:
            for theme in THEMES:
                assert broken_rules(page, theme=theme, width=width) == [], (theme, width)
            assert not scrolls_sideways(page), width


def test_no_page_is_left_out() -> None:
    names = set(_names(get_resolver()))
    assert {name for name in names if not name.startswith("api-")} <= LOOKED_AT | NO_PAGES


def _names(resolver: URLResolver) -> Iterator[str]:
    for entry in resolver.url_patterns:
        if isinstance(entry, URLResolver):
            is_for_peers = getattr(entry.urlconf_module, "__name__", "") == "consumers.urls"
            yield from () if is_for_peers else _names(entry)
        elif entry.name:
            yield entry.name
