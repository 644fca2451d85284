"""A caller of the API who believes its description: every answer has to be as described."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.settings import spectacular_settings
from jsonschema import Draft202012Validator

from accounts.authors import now_us
from accounts.models import Member
from accounts.tokens import issue

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Answer

JSON, PROBLEM = "application/json", "application/problem+json"


class Caller:
    """Calls addresses below ``/api/v1/`` as a member with the roles given."""

    def __init__(self, *roles: str, raises: bool = True) -> None:
        name = f"{'-'.join(roles)}-{uuid4().hex[:8]}"
        self.member = Member.objects.create_user(name, "not-used", roles=list(roles))
        token = issue(self.member, "test", now_us())
        headers = {"Authorization": f"Token {token}"}
        self.client = Client(headers=headers, raise_request_exception=raises)

    def get(self, path: str, query: dict[str, Any] | None = None, **headers: str) -> Answer:
        answer = self.client.get(_url(path), query, headers=_named(headers))
        return self._checked("GET", path, answer)

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        answer = self.client.post(_url(path), body or {}, JSON, headers=_named(headers))
        return self._checked("POST", path, answer)

    def patch(self, path: str, body: Any, **headers: str) -> Answer:
        answer = self.client.patch(_url(path), body, JSON, headers=_named(headers))
        return self._checked("PATCH", path, answer)

    def delete(self, path: str, **headers: str) -> Answer:
        answer = self.client.delete(_url(path), headers=_named(headers))
        return self._checked("DELETE", path, answer)

    def send(self, method: str, path: str, body: bytes, content_type: str = JSON) -> Answer:
        answer = self.client.generic(method, _url(path), body, content_type)
        return self._checked(method, path, answer)

    def _checked(self, method: str, path: str, answer: Answer) -> Answer:
        check_described(method, _url(path).partition("?")[0], answer)
        return answer


def _url(path: str) -> str:
    return f"/api/v1/{path}"


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def fields(answer: Answer) -> set[str]:
    """Return the fields a problem names."""
    problem = answer.json()
    assert answer["Content-Type"] == PROBLEM
    assert problem["status"] == answer.status_code
    assert problem["title"]
    assert problem["type"].startswith("urn:sins:problem:")
    assert all(error["expected"] for error in problem["errors"])
    return {error["field"] for error in problem["errors"]}


@cache
def description() -> dict[str, Any]:
    """Return the OpenAPI description, in the version whose schemas are JSON Schema."""
    spectacular_settings.apply_patches({"OAS_VERSION": "3.1.0"})
    try:
        found: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    finally:
        spectacular_settings.clear_patches()
    return found


def check_described(method: str, path: str, answer: Answer) -> None:
    """Fail when a status, a type or a body is not in the description of the address."""
    operation = _operation(method, path)
    if operation is None:
        assert answer.status_code in {404, 405}, f"{method} {path} is not described"
        return
    described = operation["responses"].get(str(answer.status_code))
    assert described is not None, f"{method} {path}: {answer.status_code} {answer.content[:300]!r}"
    if "content" not in described:
        assert answer.content == b""
        return
    schema = described["content"][answer["Content-Type"]]["schema"]
    root = {**schema, "components": description()["components"]}
    errors = [
        f"{list(e.path)}: {e.message}"
        for e in Draft202012Validator(root).iter_errors(answer.json())
    ]
    assert errors == []


def _operation(method: str, path: str) -> dict[str, Any] | None:
    # An address without parts that stand for something goes before one with them.
    for template, operations in sorted(description()["paths"].items(), key=lambda p: "{" in p[0]):
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template) + "/?", path):
            found: dict[str, Any] | None = operations.get(method.lower())
            return found
    return None
