"""How the customers' pages answer: whole or in part, elsewhere, or not at all."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.cache import patch_vary_headers

from customers import queries
from customers.queries import Customer
from events.errors import Unknown


def wants_part(request: HttpRequest) -> bool:
    """Return whether htmx asks for a part of the page; it asks for all of it on Back."""
    htmx = request.htmx  # type: ignore[attr-defined]
    return bool(htmx) and htmx.request_type == "partial" and not htmx.history_restore_request


def render_part(
    request: HttpRequest,
    page: str,
    part: str,
    context: dict[str, Any],
    status: int = 200,
) -> HttpResponse:
    """Render ``page``, or its ``part`` if that is all that is asked for."""
    template = part if wants_part(request) else page
    response = render(request, f"customers/{template}", context, status=status)
    # Without it, Back may show a part that the browser kept as if it were the page.
    patch_vary_headers(response, ["HX-Request", "HX-Request-Type"])
    return response


def get_or_404(entity_uid: UUID) -> Customer:
    """Return a customer as it is now; there is no page for what never was."""
    try:
        return queries.get(entity_uid)
    except Unknown as exc:
        raise Http404 from exc


def go(request: HttpRequest, address: str) -> HttpResponse:
    """Send the browser to another page, also from within a part."""
    if request.htmx:  # type: ignore[attr-defined]
        return HttpResponse(status=204, headers={"HX-Redirect": address})
    return redirect(address)
