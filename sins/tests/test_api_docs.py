"""The description of the API, and the pages that show it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.test import Client
from playwright.sync_api import Browser
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from accounts.models import Member
from customers.tests.calling import Caller, description
from tests.browsing import complaints, strangers

pytestmark = [pytest.mark.api, pytest.mark.feature("A03")]
WRITES = {"post", "patch", "delete"}


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, methods in description()["paths"].items()
        for method, operation in methods.items()
    ]


def test_it_is_valid_and_made_without_a_warning(tmp_path: Path) -> None:
    file = tmp_path / "schema.yml"
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(file))
    assert "/api/v1/entities-asof" in file.read_text()


@pytest.mark.django_db
def test_its_address_serves_it_as_yaml_and_json() -> None:
    caller = Caller("agent")
    assert caller.client.get("/api/schema").content.startswith(b"openapi: 3.")
    answer = caller.client.get("/api/schema/", headers={"Accept": "application/json"})
    assert json.loads(answer.content)["paths"].keys() == description()["paths"].keys()


def test_every_operation_says_how_it_refuses() -> None:
    for method, path, operation in operations():
        responses = operation["responses"]
        if path == "/api/v1/auth/token":
            continue
        assert responses.keys() >= {"400", "401", "403"}, (method, path)
        if "{entity_uid}" in path:
            assert "404" in responses, (method, path)
        if method in WRITES:
            assert "409" in responses, (method, path)
        if "requestBody" in operation:
            assert responses.keys() >= {"413", "415"}, (method, path)
        for code, answer in responses.items():
            if code >= "400":
                assert list(answer["content"]) == ["application/problem+json"], (method, path)


def test_bodies_hold_no_other_names() -> None:
    schemas = description()["components"]["schemas"]
    bodies = [name for name in schemas if name.endswith("ChangeRequest")]
    assert len(bodies) == 4
    assert all(schemas[name]["additionalProperties"] is False for name in bodies)


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_the_pages_take_everything_from_here(client: Client, path: str) -> None:
    asked = client.get(path)
    assert asked["Location"] == f"/accounts/login/?next={path}"
    client.force_login(Member.objects.create_user("ann", "not-used", roles=["agent"]))
    page = client.get(path).content.decode()
    assert "<script>" not in page
    assert "https://" not in page
    files = re.findall(r'(?:src|href)="/static/([^"?]+)', page)
    assert files
    assert all(finders.find(file) for file in files)


@pytest.mark.django_db
def test_redoc_is_the_packages_own_without_its_makers_logo(client: Client) -> None:
    given = finders.find("drf_spectacular_sidecar/redoc/bundles/redoc.standalone.js")
    assert isinstance(given, str)
    client.force_login(Member.objects.create_user("ann", "not-used", roles=["agent"]))
    ours = client.get("/redoc.js")
    assert ours["Content-Type"] == "text/javascript"
    logo = b'"https://cdn.redoc.ly/redoc/logo-mini.svg"'
    is_equal = Path(given).read_bytes().split(logo) == ours.content.split(b'"data:,"')
    assert is_equal


@pytest.mark.browser
@pytest.mark.parametrize(("path", "shown"), [("/docs", ".opblock"), ("/redoc", "h1")])
def test_a_browser_shows_them_and_asks_nobody_else(
    live_server: LiveServer, browser: Browser, settings: Settings, path: str, shown: str
) -> None:
    # By another name: what such pages ask elsewhere they leave out on a developer's localhost.
    settings.ALLOWED_HOSTS = ["sins.localhost"]
    url = live_server.url.replace("localhost", "sins.localhost")
    client = Client(headers={"Host": "sins.localhost"})
    client.force_login(Member.objects.create_user("ann", "not-used", roles=["agent"]))
    context = browser.new_context()
    context.add_cookies(
        [{"name": n, "value": c.value, "url": url} for n, c in client.cookies.items()]
    )
    page = context.new_page()
    wrong: list[str] = []
    page.on("console", lambda said: wrong.extend(complaints(said)))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: wrong.extend(strangers(request.url, url)))
    page.goto(f"{url}{path}")
    page.wait_for_selector(shown)
    page.wait_for_load_state("networkidle")
    context.close()
    assert wrong == []
