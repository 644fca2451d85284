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

from events import measures, spans
from events.errors import Recovering
from events.tracing import trace_id_in, traceparent_of

Respond = Callable[[HttpRequest], HttpResponseBase]

REQUEST_ID: Final = re.compile(r"[A-Za-z0-9_-]{8,64}")
REQUEST: Final = "request"

log = structlog.get_logger("sins.request")


def request_context(respond: Respond) -> Respond:
    """Give the request an id, the caller's if it is one, and log one line when it is answered."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        request_id = _request_id(request)
        request.request_id = request_id  # type: ignore[attr-defined]
        started = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            with spans.span(REQUEST, _traceparent(request, request_id)) as note:
                response = respond(request)
                method = request.method if request.method in _METHODS else "other"
                route, status = _route(request), response.status_code
                note({"http.request.method": str(method), "http.route": route or "",
                      "http.response.status_code": status})  # fmt: skip
            seconds = time.perf_counter() - started
            measures.requests.labels(method, route or "", status).inc()
            measures.request_seconds.labels(route or "").observe(seconds)
            log.info(
                REQUEST,
                method=method,
                route=route,
                status=status,
                ms=round(seconds * 1000, 1),
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
        return render(request, "503.html", status=503)


_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _request_id(request: HttpRequest) -> str:
    """Return the caller's request id, else that of the caller's trace, else a new one."""
    given = request.headers.get("X-Request-ID", "")
    if REQUEST_ID.fullmatch(given):
        return given
    return trace_id_in(request.headers.get("traceparent", "")) or uuid4().hex


def _traceparent(request: HttpRequest, request_id: str) -> str:
    given = request.headers.get("traceparent", "")
    return given if trace_id_in(given) == request_id else traceparent_of(request_id)


def _route(request: HttpRequest) -> str | None:
    """Return the name or pattern of the route, never the address, which may hold a name."""
    match = request.resolver_match
    return (match.view_name or match.route) if match else None


def _actor(request: HttpRequest) -> str | None:
    """Return the member's uid if the view asked who it is; asking here would cost a query."""
    user = request.__dict__.get("_cached_user") or request.__dict__.get("user")
    uid = user.__dict__.get("uid") if user is not None else None
    return str(uid) if isinstance(uid, UUID) else None
