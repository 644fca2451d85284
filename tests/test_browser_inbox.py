"""Two people at two locations decide what two others changed while one location was cut off."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

import pytest
from playwright.sync_api import Page

from tests.browsing import Sites, edit, enter, history_of, reload_until, submit, values_of

pytestmark = [pytest.mark.browser, pytest.mark.feature("S04"), pytest.mark.feature("S05")]

BERLIN, PARIS = "+49 30 111", "+33 1 333"


def test_two_conflicts_are_settled_at_two_locations(sites: Sites) -> None:
    with (
        sites.browsing("loc1") as one,
        sites.browsing("loc2") as two,
        sites.browsing("loc3") as three,
        sites.browsing("loc1", role="provider") as here,
        sites.browsing("loc3", role="provider") as there,
    ):
        everywhere = (one, two, three)
        called, closed = (enter(one, surname=_surname(), phone="030 0") for _ in range(2))
        for record in (called, closed):
            _until(everywhere, record, "030 0")
        sites.demo.word("cut", "loc3")
        try:
            edit(one, called, phone=BERLIN)
            edit(three, called, phone=PARIS)
            one.goto(f"{closed}delete")
            submit(one)
            edit(three, closed, phone=PARIS)
        finally:
            sites.demo.word("heal", "loc3")

        for inbox in (here, there):
            inbox.goto("/conflicts/")
            reload_until(inbox, lambda page: _items(page, called) == _items(page, closed) == 1)
        _decide(here, called, "Swap")
        _decide(there, closed, "Bring back")

        _until(everywhere, called, BERLIN)
        _until(everywhere, closed, PARIS)
        for record in (called, closed):
            histories = []
            for page in everywhere:
                page.goto(record)
                histories.append(history_of(page))
            assert len(set(histories)) == 1
        for inbox in (here, there):
            inbox.goto("/conflicts/")
            reload_until(inbox, lambda page: _items(page, called) + _items(page, closed) == 0)
            inbox.goto("/conflicts/?state=settled")
            assert (_items(inbox, called), _items(inbox, closed)) == (1, 1)


def _surname() -> str:
    return "Y" + uuid4().hex.translate(str.maketrans("0123456789", "ghijklmnop"))[:11]


def _until(pages: Sequence[Page], record: str, phone: str) -> None:
    for page in pages:
        page.goto(record)
        reload_until(page, lambda page: values_of(page).get("Phone") == phone)


def _items(page: Page, record: str) -> int:
    return page.locator(f".conflict a[href='{record}']").count()


def _decide(inbox: Page, record: str, choice: str) -> None:
    inbox.goto("/conflicts/")
    item = inbox.locator(".conflict", has=inbox.locator(f"a[href='{record}']"))
    with inbox.expect_navigation():
        item.get_by_role("button", name=choice).click()
    assert "1 conflict is settled." in inbox.inner_text("main")
