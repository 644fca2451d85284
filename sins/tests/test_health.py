"""Who watches a location learns whether it lives and whether it can serve."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from pytest_django import Settings

from customers.commands import create_customer
from events.drafting import Author


@pytest.mark.feature("R05")
def test_healthz_asks_nobody(client: Client) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}


@pytest.mark.feature("R05")
@pytest.mark.django_db
def test_readyz_is_ready_with_a_database(client: Client) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ready"


@pytest.mark.feature("R05")
@pytest.mark.django_db
def test_readyz_says_what_is_degraded_and_serves_on(client: Client, settings: Settings) -> None:
    settings.PEERS = {"loc2": {"url": "http://127.0.0.1:1", "public_key": ""}}
    long_ago = Author(None, "loc1", 1_700_000_000_000_000, "request-1")
    create_customer({"surname": "Horvat"}, long_ago)  # and nobody gives it a number
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "degraded",
        "failing": [],
        "degraded": ["sequencer: writes wait for their numbers", "peers out of reach: 1"],
    }


@pytest.mark.feature("R05")
@pytest.mark.django_db(transaction=True)
def test_readyz_names_the_database_that_does_not_answer(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.close()
    monkeypatch.setitem(settings.DATABASES["default"], "PORT", 1)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"status": "unavailable", "failing": ["database"]}


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_is_only_read(client: Client, path: str) -> None:
    assert client.post(path).status_code == 405
