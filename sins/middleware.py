"""What surrounds every request: its id, its log line, and paths with or without a final slash."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Final
from uuid import UUID, uuid4

import structlog
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import is_valid_path

from events.errors import Recovering

Respond = Callable[[HttpRequest], HttpResponseBase]

REQUEST_ID: Final = re.compile(r"[A-Za-z0-9_-]{8,64}")
REQUEST: Final = "request"

log = structlog.get_logger("sins.request")


def request_context(respond: Respond) -> Respond:
    """Give the request an id, the caller's if it is one, and log one line when it is answered."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        given = request.headers.get("X-Request-ID", "")
        request_id = given if REQUEST_ID.fullmatch(given) else uuid4().hex
        request.request_id = request_id  # type: ignore[attr-defined]
        started = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            response = respond(request)
            log.info(
                REQUEST,
                method=request.method if request.method in _METHODS else "other",
                route=_route(request),
                status=response.status_code,
                ms=round((time.perf_counter() - started) * 1000, 1),
                actor=_actor(request),
            )
        response["X-Request-ID"] = request_id
        return response

    return middleware


def either_slash(respond: Respond) -> Respond:
    """Serve a path that only exists with, or only without, its final slash; never redirect."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        path = request.path_info
        if not is_valid_path(path):
            other = path.removesuffix("/") if path.endswith("/") else f"{path}/"
            if other and is_valid_path(other):
                request.path = request.path.removesuffix(path) + other
                request.path_info = other
        return respond(request)

    return middleware


class WriteRefusals:
    """Says on a page of its own why this location takes no writes."""

    def __init__(self, respond: Respond) -> None:
        self._respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Serve the request."""
        return self._respond(request)

    def process_exception(self, request: HttpRequest, exc: Exception) -> HttpResponse | None:
        """Return the page for the one error that any write may meet."""
        if not isinstance(exc, Recovering):
            return None
        return render(request, "503.html", {"reason": str(exc)}, status=503)


_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _route(request: HttpRequest) -> str | None:
    """Return the name or pattern of the route, never the address, which may hold a name."""
    match = request.resolver_match
    return (match.view_name or match.route) if match else None


def _actor(request: HttpRequest) -> str | None:
    """Return the member's uid if the view asked who it is; asking here would cost a query."""
    user = request.__dict__.get("_cached_user") or request.__dict__.get("user")
    uid = user.__dict__.get("uid") if user is not None else None
    return str(uid) if isinstance(uid, UUID) else None
