"""Take pictures of every page of a running location: full, empty, in error; light and dark.

    python ops/screenshots.py http://127.0.0.1:8001 --provider NAME:PASSWORD --agent NAME:PASSWORD

It enters one customer of its own, changes, closes and opens it, so that there is a history to show.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, BrowserContext, Page, Route, sync_playwright

WIDTHS: Final = (1280, 360)
THEMES: Final = ("light", "dark")
FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SURNAME: Final = "Beispielhuber"


@dataclass(frozen=True, slots=True)
class Place:
    """Where to look, as whom, and where the pictures go."""

    base: str
    out: Path
    provider: tuple[str, str]
    agent: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture: ``reach`` brings a signed-in page into the state to be shown."""

    name: str
    reach: Callable[[Page, str], None]
    who: str = "provider"


def main(arguments: list[str]) -> int:
    """Take all pictures; return 0, or 2 with a sentence if there is no browser."""
    place = _place(arguments)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        print(
            "No Chromium: install it, for example with apt-get install chromium.", file=sys.stderr
        )
        return 2
    place.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        record = _make_history(browser, place)
        for width in WIDTHS:
            for theme in THEMES:
                _take_all(browser, place, record, width, theme)
        browser.close()
    return 0


def _place(arguments: list[str]) -> Place:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("base_url")
    parser.add_argument("--provider", required=True, metavar="NAME:PASSWORD")
    parser.add_argument("--agent", required=True, metavar="NAME:PASSWORD")
    parser.add_argument("--out", type=Path, default=Path("docs/pages"))
    given = parser.parse_args(arguments)
    return Place(given.base_url.rstrip("/"), given.out, _login(given.provider), _login(given.agent))


def _login(text: str) -> tuple[str, str]:
    name, _, password = text.partition(":")
    return name, password


@contextmanager
def _signed_in(
    browser: Browser, place: Place, who: str, width: int = 1280, theme: str = "light"
) -> Iterator[Page]:
    context = _context(browser, place, width, theme)
    page = context.new_page()
    name, password = place.provider if who == "provider" else place.agent
    page.goto(f"{place.base}/accounts/login/")
    page.fill("input[name=login]", name)
    page.fill("input[name=password]", password)
    page.click("main button[type=submit]")
    page.wait_for_url(lambda url: "/accounts/login" not in url)
    yield page
    context.close()


def _context(browser: Browser, place: Place, width: int, theme: str) -> BrowserContext:
    height = 800 if width > 600 else 740
    context = browser.new_context(viewport={"width": width, "height": height}, locale="en-GB")
    context.add_cookies([{"name": "theme", "value": theme, "url": place.base}])
    return context


def _make_history(browser: Browser, place: Place) -> str:
    """Enter the customer that the pictures show; return the path of its page."""
    with _signed_in(browser, place, "provider") as page:
        page.goto(f"{place.base}/customers/new")
        for name, value in (
            ("surname", SURNAME),
            ("name", "Anneliese"),
            ("dob", "1961-04-12"),
            ("document_number", "C01X00T478"),
            ("phone", "030 7712345"),
        ):
            page.fill(f"#id_{name}", value)
        _submit(page)
        record = re.sub(r"^https?://[^/]+", "", page.url)
        for changes in (
            {"phone": "+49 30 7712345", "email": "anneliese@example.com"},
            {
                "company": "Bäckerei Müller & Töchter",
                "email": "",
                "notes": "Prefers letters to calls.",
            },
        ):
            page.goto(f"{place.base}{record}edit")
            for name, value in changes.items():
                page.fill(f"#id_{name}", value)
            page.fill("#id_reason", "Asked at the counter")
            _submit(page)
        page.goto(f"{place.base}{record}delete")
        _submit(page)
        page.click("main form[action$=restore] button")
        page.wait_for_load_state()
        return record


def _submit(page: Page) -> None:
    with page.expect_navigation():
        page.click("main button[type=submit]")


def _take_all(browser: Browser, place: Place, record: str, width: int, theme: str) -> None:
    context = _context(browser, place, width, theme)
    page = context.new_page()
    page.goto(f"{place.base}/accounts/login/")
    for shot in _signed_out():
        shot.reach(page, record)
        _save(page, place, shot.name, width, theme)
    context.close()
    for who in ("provider", "agent"):
        with _signed_in(browser, place, who, width, theme) as page:
            for shot in _shots():
                if shot.who == who:
                    shot.reach(page, record)
                    _save(page, place, shot.name, width, theme)


def _save(page: Page, place: Place, name: str, width: int, theme: str) -> None:
    page.evaluate("document.fonts.ready.then(() => window.scrollTo(0, 0))")
    path = place.out / f"{name}-{width}-{theme}.png"
    # What lies over the page is shown where it lies.
    is_covered = page.locator("dialog[open], #lost:not([hidden]), .menu-pop[open]").count() > 0
    page.screenshot(path=path, full_page=not is_covered)
    overflow = page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
    print(f"{path}{'  SCROLLS SIDEWAYS' if overflow else ''}", flush=True)


def _open(path: str) -> Callable[[Page, str], None]:
    def reach(page: Page, record: str) -> None:
        base = re.match(r"^https?://[^/]+", page.url)
        page.goto(f"{base.group() if base else ''}{path.replace('RECORD/', record)}")

    return reach


def _signed_out() -> list[Shot]:
    def wrong(page: Page, record: str) -> None:
        page.fill("input[name=login]", "nobody")
        page.fill("input[name=password]", "not the password")
        page.click("main button[type=submit]")
        page.wait_for_load_state()

    return [Shot("sign-in", _open("/accounts/login/")), Shot("sign-in-error", wrong)]


def _lose(route: Route) -> None:
    route.abort()


def _search_failed(page: Page, record: str) -> None:
    _open("/customers/")(page, record)
    page.route("**/customers/?q=*", _lose)
    page.fill("#q", SURNAME)
    page.wait_for_selector("#lost:not([hidden])")
    page.unroute("**/customers/?q=*")


def _form_wrong(page: Page, record: str) -> None:
    _open("/customers/new")(page, record)
    page.fill("#id_surname", "Kowalska")
    page.fill("#id_email", "kowalska at example.com")
    page.click("main button[type=submit]")
    page.wait_for_selector("[data-summary]")


def _form_stale(page: Page, record: str) -> None:
    _open("RECORD/edit")(page, record)
    other = page.context.new_page()
    other.goto(page.url)
    number = page.evaluate("Date.now() % 9000 + 1000")
    other.fill("#id_phone", f"+49 30 771{number}")
    _submit(other)
    other.close()
    page.fill("#id_phone", "+49 171 5550123")
    page.fill("#id_company", "Bäckerei Müller")
    page.click("main button[type=submit]")
    page.wait_for_selector(".versus")


def _help(page: Page, record: str) -> None:
    _open("/customers/")(page, record)
    page.click("[data-opens=help]")


def _past(page: Page, record: str) -> None:
    _open("RECORD/")(page, record)
    page.locator(".moment-link").last.click()
    page.wait_for_load_state()


def _menu(page: Page, record: str) -> None:
    _open("/customers/")(page, record)
    page.click("details.menu-pop > summary")


def _shots() -> list[Shot]:
    return [
        Shot("customers", _open("/customers/")),
        Shot("customers-menu", _menu),
        Shot("customers-hits", _open(f"/customers/?q={SURNAME[:8]}uber+Anelise&mode=fuzzy")),
        Shot("customers-exact", _open(f"/customers/?q={SURNAME}&mode=exact")),
        Shot("customers-no-hits", _open("/customers/?q=Xqzvw&mode=exact")),
        Shot("customers-empty", _open("/customers/?page=99999")),
        Shot("customers-closed", _open("/customers/?state=closed")),
        Shot("customers-search-refused", _open(f"/customers/?q={'word+' * 25}")),
        Shot("customers-unreachable", _search_failed),
        Shot("customer-new", _open("/customers/new?q=Anna+Kowalska")),
        Shot("customer-new-error", _form_wrong),
        Shot("customer-edit", _open("RECORD/edit")),
        Shot("customer-edit-stale", _form_stale),
        Shot("customer-record", _open("RECORD/")),
        Shot("customer-record-past", _past),
        Shot("customer-record-before", _open("RECORD/?as_of=1999-12-31")),
        Shot("customer-record-error", _open("RECORD/?as_of=yesterday")),
        Shot("customer-delete", _open("RECORD/delete")),
        Shot("audit", _open("/audit/")),
        Shot("audit-empty", _open("/audit/?end=1999-12-31")),
        Shot("audit-error", _open("/audit/?start=2026-02-01&end=2026-01-01")),
        Shot("sync", _open("/sync/")),
        Shot("help", _help),
        Shot("not-found", _open("/customers/00000000-0000-7000-8000-000000000000/")),
        Shot("refused", _open("/audit/"), who="agent"),
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
