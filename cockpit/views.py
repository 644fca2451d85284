"""The pages around the modules: home, audit, reports, sync, appearance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts import access
from accounts.authors import uid_of
from accounts.roles import AGENT, PROVIDER, require_role
from cockpit import audit, repairs, report_files, report_page, spreadsheets
from cockpit.forms import AuditForm, RetryForm
from cockpit.report_form import ReportForm
from customers.conflict_rows import open_count
from events import membership, status

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
def transactions_page(request: HttpRequest) -> HttpResponse:
    """Show how much was recorded, refused and searched in a period: in all, in time, by what."""
    form = _report_form(request)
    if not form.is_valid():
        return _wrong(request, form)
    context = {"form": form, **report_page.page_of(form)}
    return render(request, "cockpit/transactions.html", context)


@require_safe
@require_role(PROVIDER)
def transactions_file(request: HttpRequest) -> HttpResponseBase:
    """Send what fits the filter of the report, line by line, as CSV."""
    return _file(request, "transactions", report_files.transactions)


@require_safe
@require_role(PROVIDER)
def counts_file(request: HttpRequest) -> HttpResponseBase:
    """Send the numbers of the report as CSV."""
    return _file(request, "counts", report_files.counts)


def _report_form(request: HttpRequest) -> ReportForm:
    today = timezone.localdate(timezone=settings.DISPLAY_TIME_ZONE)
    return ReportForm(request.GET.dict(), today)


def _wrong(request: HttpRequest, form: ReportForm) -> HttpResponse:
    return render(request, "cockpit/transactions.html", {"form": form}, status=400)


def _file(
    request: HttpRequest,
    name: str,
    rows_of: Callable[[ReportForm], Iterable[Sequence[spreadsheets.Cell]]],
) -> HttpResponseBase:
    form = _report_form(request)
    if not form.is_valid():
        return _wrong(request, form)
    access.log_request(request, access.EXPORT, access.OK, uid_of(request))
    days = f"{form.cleaned_data['start']}-{form.cleaned_data['end']}"
    return spreadsheets.download(f"sins-{settings.LOCATION_ID}-{name}-{days}.csv", rows_of(form))


@require_safe
@require_role(PROVIDER)
def sync_page(request: HttpRequest) -> HttpResponse:
    """Show how this location stands to each peer, and what waits for repair."""
    return render(request, "cockpit/sync.html", _sync_context())


@require_POST
@require_role(PROVIDER)
def retry(request: HttpRequest) -> HttpResponse:
    """Look at one dead letter, or fold one parked record, again."""
    form = RetryForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Choose a dead letter or a parked record from the list."))
        return render(request, "cockpit/sync.html", _sync_context(), status=400)
    if (letter := form.cleaned_data["letter"]) is not None:
        is_settled, words = repairs.retry_letter(letter)
    else:
        is_settled, words = repairs.retry_record(form.cleaned_data["record"])
    (messages.success if is_settled else messages.warning)(request, words)
    return redirect("cockpit:sync")


def _sync_context() -> dict[str, Any]:
    return {
        "status": status.sync_status(),
        "conflicts": open_count(),
        "unsettled": membership.unsettled(),
        **repairs.waiting(),
    }
