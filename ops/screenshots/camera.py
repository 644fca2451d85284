"""A browser that signs in and takes pictures: wide and narrow, light and dark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, BrowserContext, Page, StorageState

from ops.screenshots.shots import Shot, submit

WIDTHS: Final = (1280, 360)
THEMES: Final = ("light", "dark")
FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass(slots=True)
class Camera:
    """Takes pictures of one location; ``logins`` are name and password of each who may sign in."""

    browser: Browser
    base: str
    out: Path
    logins: dict[str, tuple[str, str]]
    _signed_in: dict[str, StorageState] = field(default_factory=dict)

    def take(self, shots: Sequence[Shot], record: str = "") -> None:
        """Take all of ``shots`` at each width, in each theme."""
        for width in WIDTHS:
            for theme in THEMES:
                for who in dict.fromkeys(shot.who for shot in shots):
                    with self.page(who, width, theme) as page:
                        for shot in shots:
                            if shot.who == who:
                                shot.reach(page, record)
                                self._save(page, f"{shot.name}-{width}-{theme}.png")

    @contextmanager
    def page(self, who: str, width: int = 1280, theme: str = "light") -> Iterator[Page]:
        """Open a page of the location, signed in as ``who``, by nobody if that is empty."""
        context = self._context(self.sign_in(who) if who else None, width, theme)
        yield context.new_page()
        context.close()

    def sign_in(self, who: str) -> StorageState:
        """Sign in, once; return what a browser keeps of it."""
        if who not in self._signed_in:
            with self.page("") as page:
                name, password = self.logins[who]
                page.goto("/accounts/login/")
                page.fill("input[name=login]", name)
                page.fill("input[name=password]", password)
                submit(page)
                assert "/accounts/login" not in page.url, f"{name} is not signed in"
                self._signed_in[who] = page.context.storage_state()
        return self._signed_in[who]

    def _context(self, state: StorageState | None, width: int, theme: str) -> BrowserContext:
        height = 800 if width > 600 else 740
        context = self.browser.new_context(
            base_url=self.base,
            viewport={"width": width, "height": height},
            locale="en-GB",
            storage_state=state,
        )
        context.add_cookies([{"name": "theme", "value": theme, "url": self.base}])
        return context

    def _save(self, page: Page, name: str) -> None:
        page.evaluate("document.fonts.ready.then(() => window.scrollTo(0, 0))")
        # What lies over the page is shown where it lies.
        is_covered = page.locator("dialog[open], #lost:not([hidden]), .menu-pop[open]").count() > 0
        page.screenshot(path=self.out / name, full_page=not is_covered)
        overflow = page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
        print(f"{self.out / name}{'  SCROLLS SIDEWAYS' if overflow else ''}", flush=True)
