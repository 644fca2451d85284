"""Every request has an id, one log line without an address, and no redirect for its slash."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client


@pytest.mark.parametrize("given", ["abcdefgh", "A-b_c-123456", "x" * 64])
def test_request_id_is_the_callers(client: Client, given: str) -> None:
    assert client.get("/healthz", headers={"X-Request-ID": given})["X-Request-ID"] == given


@pytest.mark.parametrize("given", ["", "short", "with blank in it", "x" * 65, "Müller-Lüdenscheid"])
def test_request_id_is_made_when_the_callers_is_none(client: Client, given: str) -> None:
    made = client.get("/healthz", headers={"X-Request-ID": given})["X-Request-ID"]
    assert made != given
    assert len(made) == 32


@pytest.mark.parametrize("path", ["/healthz", "/healthz/"])
def test_path_is_served_with_and_without_its_final_slash(client: Client, path: str) -> None:
    assert client.get(path).status_code == 200


@pytest.mark.feature("R04")
def test_request_is_logged_without_its_address(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    client.get("/healthz?q=canary", headers={"X-Request-ID": "abcdefgh-1"})
    client.get("/canary/?q=canary")
    lines: list[Any] = [record.msg for record in caplog.records if record.name == "sins.request"]
    assert [(line["route"], line["status"]) for line in lines] == [("healthz", 200), (None, 404)]
    assert lines[0]["request_id"] == "abcdefgh-1"
    assert "canary" not in json.dumps(lines)


def test_pages_may_load_only_their_own_files(client: Client) -> None:
    policy = client.get("/healthz")["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
