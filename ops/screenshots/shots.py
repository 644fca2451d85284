"""What the pictures show: a name, and how a page is brought into that state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from playwright.sync_api import Page, Route

SURNAME: Final = "Beispielhuber"


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture; ``reach`` brings a page into the state to be shown, given a record's path.

    The page's addresses are paths of the location. ``who`` is signed in: provider or agent,
    nobody if it is empty.
    """

    name: str
    reach: Callable[[Page, str], None]
    who: str = "provider"


def make_history(page: Page) -> str:
    """Enter the customer that the pictures show, signed in as a provider; return its path."""
    _open("/customers/new")(page, "")
    values = {
        "surname": SURNAME,
        "name": "Anneliese",
        "dob": "1961-04-12",
        "document_number": "C01X00T478",
        "phone": "030 7712345",
    }
    for name, value in values.items():
        page.fill(f"#id_{name}", value)
    submit(page)
    record = urlsplit(page.url).path
    for changes in (
        {"phone": "+49 30 7712345", "email": "anneliese@example.com"},
        {"company": "Bäckerei Müller & Töchter", "email": "", "notes": "Prefers letters to calls."},
    ):
        _open("RECORD/edit")(page, record)
        for name, value in changes.items():
            page.fill(f"#id_{name}", value)
        page.fill("#id_reason", "Asked at the counter")
        submit(page)
    _open("RECORD/delete")(page, record)
    submit(page)
    page.click("main form[action$=restore] button")
    page.wait_for_load_state()
    return record


def _open(path: str) -> Callable[[Page, str], None]:
    def reach(page: Page, record: str) -> None:
        page.goto(path.replace("RECORD/", record))

    return reach


def signed_out() -> list[Shot]:
    """Return what nobody in particular sees."""

    def wrong(page: Page, record: str) -> None:
        _open("/accounts/login/")(page, record)
        page.fill("input[name=login]", "nobody")
        page.fill("input[name=password]", "not the password")
        page.click("main button[type=submit]")
        page.wait_for_load_state()

    sign_in = _open("/accounts/login/")
    return [Shot("sign-in", sign_in, who=""), Shot("sign-in-error", wrong, who="")]


def submit(page: Page) -> None:
    """Send the page's form and follow where it leads."""
    with page.expect_navigation():
        page.click("main button[type=submit]")


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
    submit(other)
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


def signed_in() -> list[Shot]:
    """Return what members see at a location with people."""
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
        Shot("conflicts", _open("/conflicts/")),
        Shot("conflicts-settled", _open("/conflicts/?state=settled")),
        Shot("conflicts-empty", _open("/conflicts/?page=99999")),
        Shot("conflicts-error", _open("/conflicts/?state=burnt")),
        Shot("audit", _open("/audit/")),
        Shot("audit-empty", _open("/audit/?end=1999-12-31")),
        Shot("audit-error", _open("/audit/?start=2026-02-01&end=2026-01-01")),
        Shot("report", _open("/reports/transactions/")),
        Shot("report-empty", _open("/reports/transactions/?start=1999-12-01&end=1999-12-31")),
        Shot("report-error", _open("/reports/transactions/?start=2026-02-01&end=2026-01-01")),
        Shot("sync", _open("/sync/")),
        Shot("help", _help),
        Shot("not-found", _open("/customers/00000000-0000-7000-8000-000000000000/")),
        Shot("refused", _open("/audit/"), who="agent"),
    ]


def of_nobody_entered() -> list[Shot]:
    """Return what a provider sees at a location that has just been set up."""
    return [
        Shot("empty-customers", _open("/customers/")),
        Shot("empty-search", _open("/customers/?q=Kowalska")),
        Shot("empty-conflicts", _open("/conflicts/")),
        Shot("empty-audit", _open("/audit/")),
        Shot("empty-report", _open("/reports/transactions/")),
        Shot("empty-sync", _open("/sync/")),
    ]


def of_too_many() -> list[Shot]:
    """Return what is seen after more attempts to sign in than a minute allows."""

    def knock(page: Page, record: str) -> None:
        _open("/accounts/login/")(page, record)
        while page.locator("input[name=login]").count():
            page.fill("input[name=login]", "nobody")
            page.fill("input[name=password]", "not the password")
            submit(page)

    return [Shot("too-many-attempts", knock, who="")]


def of_restored() -> list[Shot]:
    """Return what a write meets at a location that waits for its own writes from its peers."""

    def write(page: Page, record: str) -> None:
        _open("/customers/new")(page, record)
        page.fill("#id_surname", "Kowalska")
        page.click("main button[type=submit]")
        page.wait_for_selector("#read-only:not([hidden])")

    return [Shot("read-only", write)]


def of_no_database() -> list[Shot]:
    """Return what is seen while a location's database does not answer."""
    return [Shot("server-error", _open("/customers/"))]
