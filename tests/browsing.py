"""Three running locations, and a person's browser at each of them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, StorageState

from ops.demo.places import CHECKOUT
from ops.tests.test_demo import Demo

AXE: Final = CHECKOUT / "node_modules/axe-core/axe.min.js"
RULES: Final = {
    "type": "tag",
    "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
}
COLOURS: Final = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
# What lies over a page hides parts of it, which then seem too small: it is looked at by itself.
RUN_AXE: Final = """(rules) => axe.run(
    document.querySelector("dialog[open], details.menu-pop[open]") ?? document,
    {runOnly: rules, resultTypes: ["violations"]},
)"""
# Colours fade into each other: they count when they have arrived.
TAKE_THEME: Final = """(name) => {
    document.documentElement.dataset.theme = name;
    for (const each of document.getAnimations()) {
        if (each instanceof CSSTransition) each.finish();
    }
}"""
WIDTHS: Final = (1280, 360)
THEMES: Final = ("light", "dark")
# What Chromium says of every answer from 400 on, and of requests that a test itself loses: pages
# in error are looked at, too.
EXPECTED: Final = re.compile(
    r"Failed to load resource: (the server responded with a status of 4\d\d|net::ERR_FAILED)"
)
LOST: Final = "htmx: htmx:error: Failed to fetch"
MEMBERS: Final = re.compile(r"\b(Agent|Provider|a member of loc\d)")


class Sites:
    """The locations of a demo; who signed in there once need not again."""

    def __init__(self, demo: Demo, browser: Browser) -> None:
        self.demo = demo
        self._browser = browser
        self._signed_in: dict[tuple[str, str], StorageState] = {}

    def of(self, name: str) -> dict[str, Any]:
        """Return what tools are told of a location."""
        return next(x for x in self.demo.state["locations"] if x["location_id"] == name)

    def password(self, name: str, role: str) -> str:
        """Return the password of a member at a location."""
        return str(self.of(name)["users"][role]["password"])

    @contextmanager
    def browsing(
        self, name: str = "loc1", role: str | None = "agent", *, has_script: bool = True
    ) -> Iterator[Page]:
        """Open a page, signed in unless ``role`` is None; nothing may be wrong when it closes."""
        if role and (name, role) not in self._signed_in:
            self._signed_in[name, role] = self._sign_in(name, role)
        with self._window(
            name, self._signed_in[name, role] if role else None, has_script
        ) as context:
            yield context.new_page()

    def _sign_in(self, name: str, role: str) -> StorageState:
        with self._window(name) as context:
            page = context.new_page()
            sign_in(page, role, self.password(name, role))
            return context.storage_state()

    @contextmanager
    def _window(
        self, name: str, state: StorageState | None = None, has_script: bool = True
    ) -> Iterator[BrowserContext]:
        url = self.of(name)["url"]
        context = self._browser.new_context(
            base_url=url,
            viewport={"width": 1280, "height": 800},
            storage_state=state,
            java_script_enabled=has_script,
            reduced_motion="reduce",
        )
        wrong: list[str] = []
        context.on("console", lambda said: wrong.extend(complaints(said)))
        context.on("weberror", lambda error: wrong.append(str(error.error)))
        context.on("request", lambda request: wrong.extend(strangers(request.url, url)))
        try:
            yield context
        finally:
            context.close()
        assert not wrong, wrong


def complaints(said: ConsoleMessage) -> list[str]:
    """Return what is wrong if the console says so; a refusal of the CSP is an error there."""
    is_wrong = said.type == "error" or "Content Security Policy" in said.text
    is_page = EXPECTED.match(said.text) and "/static/" not in said.location["url"]
    is_expected = is_page or said.text.startswith(LOST)
    return [said.text] if is_wrong and not is_expected else []


def strangers(asked: str, url: str) -> list[str]:
    """Return the address that was asked if it is not the location's own."""
    scheme, host = urlsplit(asked)[:2]
    is_own = host == urlsplit(url).netloc or scheme == "data" or asked.startswith(f"blob:{url}")
    return [] if is_own else [f"asked {asked}"]


def sign_in(page: Page, name: str, password: str) -> None:
    """Sign in by the form."""
    page.goto("/accounts/login/")
    page.fill("input[name=login]", name)
    page.fill("input[name=password]", password)
    submit(page)


def submit(page: Page) -> None:
    """Send the page's form and follow where it leads."""
    with page.expect_navigation():
        page.click("main button[type=submit]")


def tab_to(page: Page, selector: str) -> None:
    """Reach an element as someone without a mouse does."""
    for _ in range(40):
        if page.evaluate("(s) => document.activeElement.matches(s)", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{selector} is not reached by Tab")


def enter(page: Page, **values: str) -> str:
    """Enter a customer by the form; return the path of its page."""
    page.goto("/customers/new")
    for name, value in values.items():
        page.fill(f"#id_{name}", value)
    submit(page)
    return path_of(page)


def edit(page: Page, record: str, **values: str) -> None:
    """Change a customer by the form."""
    page.goto(f"{record}edit")
    for name, value in values.items():
        page.fill(f"#id_{name}", value)
    submit(page)
    assert path_of(page) == record


def path_of(page: Page) -> str:
    """Return the path of the page that is open."""
    return urlsplit(page.url).path


def values_of(page: Page) -> dict[str, str]:
    """Return the values a record page shows."""
    shown = page.locator("dl.values .value").evaluate_all(
        "all => all.map(one => [...one.querySelectorAll('dt, .text')].map(x => x.innerText))"
    )
    return dict(shown)


def history_of(page: Page) -> str:
    """Return the history a record page shows; a member's name is known at home only."""
    return MEMBERS.sub("someone", page.locator("ol.timeline").inner_text())


def figure(page: Page, name: str) -> str:
    """Return one of the figures of the sync page."""
    box = page.locator(".figure", has=page.locator("dt", has_text=name))
    return box.locator("dd").inner_text()


def reload_until(page: Page, is_so: Callable[[Page], bool], seconds: float = 60) -> None:
    """Look at the page again and again until something is so."""
    deadline = time.monotonic() + seconds
    while not is_so(page):
        assert time.monotonic() < deadline, page.inner_text("body")
        page.reload()


def watch_until(page: Page, is_so: Callable[[Page], bool], seconds: float = 60) -> None:
    """Look at the page, which shows by itself what is new, until something is so."""
    deadline = time.monotonic() + seconds
    while not is_so(page):
        assert time.monotonic() < deadline, page.inner_text("body")
        page.wait_for_timeout(200)


def broken_rules(page: Page, *, theme: str, width: int) -> list[str]:
    """Return what axe finds on the page as it stands, in a theme and at a width.

    A theme is colours and nothing else: after the first one only these are looked at.
    """
    page.set_viewport_size({"width": width, "height": 800})
    page.evaluate(TAKE_THEME, theme)
    if page.evaluate("typeof axe === 'undefined'"):
        page.evaluate(AXE.read_text(encoding="utf-8"))  # the CSP would refuse a script element
    rules = RULES if theme == THEMES[0] else COLOURS
    found = page.evaluate(RUN_AXE, rules)
    return [
        f"{item['id']}: {node['html'][:200]}"
        for item in found["violations"]
        for node in item["nodes"]
    ]


def scrolls_sideways(page: Page) -> bool:
    """Whether the page is wider than the window."""
    return bool(page.evaluate("document.documentElement.scrollWidth > window.innerWidth"))
