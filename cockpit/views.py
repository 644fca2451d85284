"""The pages around the modules: home, audit, sync, appearance."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from accounts.roles import AGENT, PROVIDER, require_role
from cockpit import audit
from cockpit.forms import AuditForm
from events import status

THEMES = frozenset({"auto", "light", "dark"})
YEAR_SECONDS = 365 * 24 * 3600


@require_safe
@require_role(AGENT, PROVIDER)
def home(request: HttpRequest) -> HttpResponse:
    """Lead to where the work is."""
    return redirect("customers:list")


@require_POST
def choose_theme(request: HttpRequest) -> HttpResponse:
    """Remember light, dark or the device's choice, and go back: the way without JavaScript."""
    back = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(back, {request.get_host()}, request.is_secure()):
        back = "/"
    response = redirect(back)
    theme = request.POST.get("theme")
    if theme in THEMES:
        response.set_cookie(
            "theme", theme, max_age=YEAR_SECONDS, samesite="Lax", secure=request.is_secure()
        )
    return response


@require_safe
@require_role(PROVIDER)
def audit_page(request: HttpRequest) -> HttpResponse:
    """Show what was recorded: who, when, where, before and after; newest first."""
    form = AuditForm(request.GET)
    is_valid = form.is_valid()
    context: dict[str, Any] = {"form": form}
    if is_valid:
        context |= audit.page_of(form.cleaned_data, request.GET.dict())
    return render(request, "cockpit/audit.html", context, status=200 if is_valid else 400)


@require_safe
@require_role(PROVIDER)
def sync_page(request: HttpRequest) -> HttpResponse:
    """Show how this location stands to each peer."""
    return render(request, "cockpit/sync.html", {"status": status.sync_status()})
