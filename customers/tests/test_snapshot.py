"""A record is read in one moment, whatever is written meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client

from accounts.models import Member
from customers import queries
from customers.tests.browsing import address, change, enter, page_text

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.feature("C01")]


@pytest.fixture
def uid() -> UUID:
    return enter(surname="Rayleigh", phone="0700112233")


def changes_before(monkeypatch: pytest.MonkeyPatch, step: str, uid: UUID) -> None:
    """Let another connection change the customer right before one step of a query."""
    before: Callable[..., Any] = getattr(queries, step)

    def elsewhere() -> None:
        change(uid, phone="0700445566")
        connection.close()

    def changed_first(*arguments: Any) -> Any:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(elsewhere).result()
        return before(*arguments)

    monkeypatch.setattr(queries, step, changed_first)


def test_values_and_stamps_are_of_one_moment(monkeypatch: pytest.MonkeyPatch, uid: UUID) -> None:
    known = queries.get(uid)
    changes_before(monkeypatch, "_details", uid)
    found = queries.get(uid)
    assert (found.values, found.etag) == (known.values, known.etag)
    monkeypatch.undo()
    assert queries.get(uid).values["phone"] == "0700445566"


def test_the_page_shows_values_and_history_of_one_moment(
    client: Client, agent: Member, monkeypatch: pytest.MonkeyPatch, uid: UUID
) -> None:
    changes_before(monkeypatch, "history", uid)
    assert "0700445566" not in page_text(client.get(address("record", uid)))
    monkeypatch.undo()
    assert page_text(client.get(address("record", uid))).count("0700445566") > 1
