"""The customers' pages. They ask queries and search, hand what was typed to commands, and render.

Every page is whole without JavaScript; asked for by htmx, the list and the form answer with the
part of them that changed.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import access
from accounts.authors import author_of, uid_of
from accounts.roles import AGENT, PROVIDER, require_role
from customers import commands, queries, rows, sealed, timeline
from customers.commands import Basis
from customers.conflict_rows import open_count
from customers.forms import MomentsForm, ReasonForm, SearchForm, sentence
from customers.queries import Customer
from customers.responses import get_or_404, render_part
from customers.search import search
from events import audit, sql
from events.audit import Filter
from events.errors import InvalidValue, MissingKey, Parked, Stale, UndecodableEvent, Unknown

PAGE_SIZE = 50
EXACT_HIT_LIMIT = 100
HISTORY_LIMIT = 500  # audit lines of one record that the timeline asks for


def _is_provider(request: HttpRequest) -> bool:
    return bool(request.user.has_role(PROVIDER))  # type: ignore[union-attr]


@require_safe
@require_role(AGENT, PROVIDER)
def customer_list(request: HttpRequest) -> HttpResponse:
    """List customers, or what a search finds among them."""
    form = SearchForm(request.GET)
    is_valid = form.is_valid()
    asked = form.cleaned_data
    q, mode = asked.get("q") or "", asked.get("mode") or "fuzzy"
    context: dict[str, Any] = {
        "form": form,
        "q": q,
        "mode": mode,
        "modes": SearchForm.MODES,
        "orders": SearchForm.ORDERS,
        "order": asked.get("order") or "newest",
        "is_closed_list": asked.get("state") == "closed" and _is_provider(request),
        "is_provider": _is_provider(request),
        "hide_quick_search": True,
    }
    if is_valid and q:
        try:
            context |= _found(request, q, mode)
        except InvalidValue as error:
            form.add_error("q", sentence(error.expected))
            is_valid = False
    elif is_valid:
        context |= _paged(context["order"], asked.get("page") or 1, context["is_closed_list"])
    return render_part(request, "list.html", "_results.html", context, 200 if is_valid else 400)


def _found(request: HttpRequest, q: str, mode: str) -> dict[str, Any]:
    limit = settings.FUZZY_HIT_LIMIT if mode == "fuzzy" else EXACT_HIT_LIMIT
    hits = search(q, "fuzzy" if mode == "fuzzy" else "exact", limit)
    access.log_request(request, access.SEARCH, access.OK, uid_of(request))
    return {
        "rows": rows.rows_of_hits(hits, is_scored=mode == "fuzzy"),
        "is_cut": len(hits) >= limit,
    }


def _paged(order: str, page: int, is_closed: bool) -> dict[str, Any]:
    start = (page - 1) * PAGE_SIZE
    # One more than is shown tells whether there is a next page, without counting them all.
    if is_closed:
        uids = queries.deleted_uids()[start : start + PAGE_SIZE + 1]
    else:
        found = queries.present(order)[start : start + PAGE_SIZE + 1]
        uids = [row.entity_uid for row in found]
    return {
        "rows": rows.rows_of(queries.customers(uids[:PAGE_SIZE])),
        "total": None if is_closed else queries.present(order).count(),
        "page": page,
        "previous_page": page - 1,
        "next_page": page + 1 if len(uids) > PAGE_SIZE else None,
    }


@require_safe
@require_role(AGENT, PROVIDER)
@sql.snapshot()
def customer_record(request: HttpRequest, entity_uid: UUID) -> HttpResponse:
    """Show a customer, now or at a moment, each value with who, when and where from."""
    customer = get_or_404(entity_uid)
    form = MomentsForm(request.GET)
    is_valid = form.is_valid()
    as_of, known_at = form.cleaned_data.get("as_of"), form.cleaned_data.get("known_at")
    shown: Customer | None = customer
    is_readable = True
    if as_of or known_at:
        try:
            shown = queries.customer_as_of(entity_uid, as_of, known_at)
        except (MissingKey, UndecodableEvent):
            shown, is_readable = None, False
    moments = timeline.moments(queries.history(entity_uid))
    timeline.mark(moments, queries.parallel(entity_uid))
    timeline.explain(moments, audit.page(Filter(entity_uid=entity_uid), HISTORY_LIMIT)[0])
    context = {
        "customer": customer,
        "shown": shown,
        "lines": timeline.value_lines(shown) if shown else [],
        "moments": moments,
        "form": form,
        "as_of": as_of,
        "known_at": known_at,
        "is_past": bool(as_of or known_at),
        "is_readable": is_readable,
        "open_conflicts": open_count(entity_uid),
        "is_provider": _is_provider(request),
    }
    return render(request, "customers/record.html", context, status=200 if is_valid else 400)


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(AGENT, PROVIDER)
def customer_delete(request: HttpRequest, entity_uid: UUID) -> HttpResponse:
    """Ask, then close the record; its history stays."""
    customer = get_or_404(entity_uid)
    record = reverse("customers:record", args=[entity_uid])
    if customer.is_deleted:
        return redirect(record)
    form = ReasonForm(request.POST if request.method == "POST" else None)
    status = 200
    if form.is_bound and form.is_valid():
        seen = sealed.unseal(request.POST.get("sealed", ""), entity_uid)
        try:
            basis = Basis(known=seen.stamps if seen else {})
            reason = form.cleaned_data["reason"] or None
            commands.delete_customer(entity_uid, author_of(request), basis=basis, reason=reason)
        except Stale:
            customer, status = queries.get(entity_uid), 412
        except Parked as error:
            messages.error(request, _(str(error)))
            return redirect(record)
        else:
            messages.success(request, _("The record is closed. Its history stays."))
            return redirect(record)
    context = {
        "customer": customer,
        "lines": [line for line in timeline.value_lines(customer) if line.value],
        "form": form,
        "sealed": sealed.seal(customer),
        "is_stale": status == 412,
    }
    return render(request, "customers/delete.html", context, status=status)


@require_POST
@require_role(PROVIDER)
def customer_restore(request: HttpRequest, entity_uid: UUID) -> HttpResponse:
    """Open a closed record again."""
    try:
        commands.restore_customer(entity_uid, author_of(request))
    except Unknown as exc:
        raise Http404 from exc
    except Parked as error:
        messages.error(request, _(str(error)))
    else:
        messages.success(request, _("The record is open again."))
    return redirect("customers:record", entity_uid)
