"""Every refusal of the API as problem details (RFC 9457): what is wrong, and with which field.

Nothing here is logged but the fact: a problem may quote what a caller typed, a log line never does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import structlog
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseServerError,
    JsonResponse,
)
from django.template.loader import render_to_string
from django.views import defaults
from rest_framework import status
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.response import Response
from rest_framework.views import set_rollback

from events.errors import (
    AlreadyExists,
    InvalidValue,
    MissingKey,
    NotAlone,
    Parked,
    Recovering,
    Settled,
    SinsError,
    Stale,
    TooLarge,
    UndecodableEvent,
    Unknown,
    UnknownItem,
)

MEDIA_TYPE: Final = "application/problem+json"
DATABASE_UNREACHABLE: Final = "database_unreachable"
RETRY_SECONDS: Final = 2
MAX_NAME: Final = 100  # letters of a field's name that are repeated to who sent it
NOT_HERE: Final = "There is nothing here by this address."

log = structlog.get_logger("sins.problems")


class Kind(NamedTuple):
    """A sort of problem: its status, the end of its type URI, and its title."""

    status: int
    name: str
    title: str


_BY_STATUS: Final = {
    kind.status: kind
    for kind in (
        Kind(400, "invalid", "Something in the request is not as expected."),
        Kind(401, "not-signed-in", "This needs a token or a signed-in member."),
        Kind(403, "not-allowed", "Your roles do not allow this."),
        Kind(404, "not-found", "Not found."),
        Kind(405, "method-not-allowed", "This address does not answer that method."),
        Kind(406, "not-acceptable", "The answer is JSON."),
        Kind(409, "conflict", "This contradicts what is recorded."),
        Kind(412, "stale", "The record has changed since it was read."),
        Kind(413, "too-large", "The request is too large."),
        Kind(415, "not-json", "The body has to be JSON."),
        Kind(429, "too-many-requests", "Too many requests."),
        Kind(500, "error", "Something went wrong here."),
        Kind(503, "unavailable", "This cannot be served right now."),
    )
}
# Errors of the core: the most special first.
_STATUS_OF: Final[Sequence[tuple[type[Exception], int]]] = (
    (InvalidValue, 400),
    (Unknown, 404),
    (AlreadyExists, 409),
    (Parked, 409),
    (Settled, 409),
    (NotAlone, 409),
    (UnknownItem, 404),
    (MissingKey, 409),
    (UndecodableEvent, 409),
    (Stale, 412),
    (TooLarge, 413),
    (Recovering, 503),
    (SinsError, 400),
    (Http404, 404),
    (PermissionDenied, 403),
    (RequestDataTooBig, 413),
    (SuspiciousOperation, 400),
    (OperationalError, 503),
    (InterfaceError, 503),
)


def problem(
    code: int, detail: str = "", errors: Sequence[Mapping[str, Any]] = (), name: str = ""
) -> dict[str, Any]:
    """Return the members of a problem; ``errors`` are ``{field, expected, …}``."""
    kind = _BY_STATUS.get(code) or Kind(code, "error", "The request failed.")
    return {
        "type": f"urn:sins:problem:{name or kind.name}",
        "title": kind.title,
        "status": code,
        "detail": _text(detail or kind.title),
        "errors": [{**error, "field": _text(error["field"])[:MAX_NAME]} for error in errors],
    }


def problem_response(exc: Exception, context: Mapping[str, Any]) -> Response | None:
    """Return the answer to an exception of an API view; None for what nobody foresaw."""
    if isinstance(exc, APIException):
        code, headers = exc.status_code, _headers(exc)
        name = getattr(exc, "problem_name", "")
        body = problem(code, _detail(exc), list(_errors_of(exc)), name)
    else:
        code = next((known for kind, known in _STATUS_OF if isinstance(exc, kind)), 0)
        if not code:
            return None
        if isinstance(exc, OperationalError | InterfaceError):
            log.warning(DATABASE_UNREACHABLE, error=type(exc).__qualname__)
        headers = {"Retry-After": str(RETRY_SECONDS)} if code == 503 else {}
        body = problem(code, _core_detail(exc, code), _core_errors(exc))
    set_rollback()
    return Response(body, status=code, headers=headers, content_type=MEDIA_TYPE)


def _headers(exc: APIException) -> dict[str, str]:
    scheme, wait = getattr(exc, "auth_header", None), getattr(exc, "wait", None)
    return {
        **({"WWW-Authenticate": scheme} if scheme else {}),
        **({"Retry-After": f"{wait:.0f}"} if wait else {}),
    }


def _detail(exc: APIException) -> str:
    if exc.status_code == status.HTTP_404_NOT_FOUND and not hasattr(exc, "problem_name"):
        return NOT_HERE
    return "" if isinstance(exc, ValidationError) else str(exc.detail)


def _errors_of(exc: APIException) -> Iterator[dict[str, Any]]:
    if isinstance(exc, ValidationError):
        for field, expected in _flat(exc.detail, ""):
            yield {"field": field or "body", "expected": _text(expected)}


def _flat(detail: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield (field, message) pairs; the fields of nested bodies with their way: details.0.value."""
    if isinstance(detail, Mapping):
        for key, inner in detail.items():
            name = "" if key == "non_field_errors" else str(key)
            yield from _flat(inner, ".".join(part for part in (path, name) if part))
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            is_nested = isinstance(inner, Mapping | list)
            yield from _flat(inner, f"{path}.{index}" if is_nested else path)
    else:
        yield path, str(detail)


def _core_detail(exc: Exception, code: int) -> str:
    if code == status.HTTP_404_NOT_FOUND:
        return NOT_HERE  # the same for a record that never was and for an address nobody serves
    if isinstance(exc, OperationalError | InterfaceError):
        return "The database does not answer."
    return str(exc) if isinstance(exc, SinsError) else ""


def _core_errors(exc: Exception) -> list[dict[str, Any]]:
    if isinstance(exc, InvalidValue):
        return [{"field": exc.field, "expected": exc.expected}]
    if isinstance(exc, AlreadyExists):
        return [{"field": "entity_uid", "expected": "a uid that stands for no other data"}]
    if isinstance(exc, Stale):
        return [
            {
                "field": group,
                "expected": "the value as it is now, or no If-Match",
                "yours": _plain(yours),
                "current": _plain(current),
            }
            for group, (yours, current) in exc.groups.items()
        ]
    return []


def _plain(fields: Mapping[str, Any]) -> Any:
    """Return the value of a group with one field, else all its fields; None for none."""
    return fields.get("value") if fields.keys() <= {"value"} else dict(fields)


def _text(text: Any) -> str:
    """Return text that can be sent: half of a surrogate pair cannot."""
    return str(text).encode("utf-8", "replace").decode()


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer what Django itself refuses: a problem below /api/, else the page."""
    code = 413 if isinstance(exception, RequestDataTooBig) else 400
    return _answer(request, code) or defaults.bad_request(request, exception)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a refusal outside the API's own views."""
    return _answer(request, 403) or defaults.permission_denied(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer for an address nobody serves."""
    return _answer(request, 404, NOT_HERE) or defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer what nobody foresaw, without a word about what it was."""
    # Without context processors: they ask the database, which may be what is wrong.
    return _answer(request, 500) or HttpResponseServerError(
        render_to_string("500.html", {"request": request})
    )


def _answer(request: HttpRequest, code: int, detail: str = "") -> HttpResponse | None:
    if not request.path_info.startswith("/api/"):
        return None
    return JsonResponse(problem(code, detail), status=code, content_type=MEDIA_TYPE)
