"""The routes other locations ask; each answers only to a request a registered location signed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import wraps

import structlog
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from consumers import heartbeat, wire
from consumers.errors import Refused
from consumers.signing import sender_of
from events import contacts, streams

MOST_BODY_BYTES = 512 * 1024  # of the longest heartbeat there can be
PEER_REFUSED = "peer_refused"

log = structlog.get_logger("consumers.peer_routes")

View = Callable[[HttpRequest, str], HttpResponse]


def _now() -> int:
    return time.time_ns() // 1000


def _signed(route: str) -> Callable[[View], Callable[[HttpRequest], HttpResponse]]:
    """Let a view answer only to registered locations; it is given who asks."""

    def decorate(view: View) -> Callable[[HttpRequest], HttpResponse]:
        @wraps(view)
        def answer(request: HttpRequest) -> HttpResponse:
            if int(request.META.get("CONTENT_LENGTH") or 0) > MOST_BODY_BYTES:
                return _problem(413, "The body is too large.")
            try:
                sender = sender_of(request, route, _now())
            except Refused as exc:
                log.warning(PEER_REFUSED, reason=exc.reason, route=route)
                return _problem(403, "Only requests signed by a registered location are answered.")
            return view(request, sender)

        return csrf_exempt(never_cache(answer))

    return decorate


@_signed("events")
def _events(request: HttpRequest, sender: str) -> HttpResponse:
    origin = request.GET.get("origin", "")
    numbers = {}
    for name in ("epoch", "after"):
        text = request.GET.get(name, "")
        if not text.isascii() or not text.isdecimal() or len(text) > (9 if name == "epoch" else 18):
            return _problem(400, f"{name}: expected a whole number")
        numbers[name] = int(text)
    if not 0 < len(origin) <= 64 or "\x00" in origin:
        return _problem(400, "origin: expected a location")
    page = streams.page(origin, numbers["epoch"], numbers["after"])
    return JsonResponse({"head": None} if page is None else wire.page_to_json(page))


@_signed("heads")
def _heads(request: HttpRequest, sender: str) -> HttpResponse:
    return JsonResponse(heartbeat.positions())


@_signed("digest")
def _digest(request: HttpRequest, sender: str) -> HttpResponse:
    return JsonResponse(wire.buckets_to_json(*contacts.own_buckets()))


@_signed("heartbeat")
def _heartbeat(request: HttpRequest, sender: str) -> HttpResponse:
    try:
        said = wire.said_from_json(json.loads(request.body))
    except ValueError:
        return _problem(400, "body: expected a heartbeat")
    contacts.note(sender, said, None)
    return JsonResponse(heartbeat.answer(_now()))


def _problem(status: int, detail: str) -> HttpResponse:
    return JsonResponse(
        {"type": "about:blank", "status": status, "detail": detail},
        status=status,
        content_type="application/problem+json",
    )


# Any registered location may ask for any stream that is here, not only for this location's.
events = require_GET(_events)
heads = require_GET(_heads)
digest = require_GET(_digest)
heartbeat_view = require_POST(_heartbeat)
