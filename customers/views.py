"""The customers' pages. They ask queries and search, hand what was typed to commands, and render.

Every page is whole without JavaScript; asked for by htmx, the list and the form answer with the
part of them that changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import access
from accounts.authors import author_of, now_us, uid_of
from accounts.roles import AGENT, PROVIDER, require_role
from customers import commands, queries, rows, sealed, timeline
from customers.commands import Basis, When
from customers.forms import CustomerForm, MomentsForm, ReasonForm, SearchForm
from customers.labels import Text, label_of
from customers.queries import Customer, DetailVersion
from customers.search import search
from events.errors import AlreadyExists, InvalidValue, Parked, Stale, Unknown
from events.stamp import uuid7

PAGE_SIZE = 50
EXACT_HIT_LIMIT = 100


@dataclass(frozen=True, slots=True)
class Clash:
    """A field that someone else changed while this author had the form open."""

    code: str
    label: Text
    mine: str | None
    current: str | None
    version: DetailVersion | None


def _wants_part(request: HttpRequest) -> bool:
    htmx = request.htmx  # type: ignore[attr-defined]
    return bool(htmx) and htmx.request_type == "partial" and not htmx.history_restore_request


def _render(
    request: HttpRequest, page: str, part: str, context: dict[str, Any], status: int = 200
) -> HttpResponse:
    template = part if _wants_part(request) else page
    response = render(request, f"customers/{template}", context, status=status)
    # Without it, Back may show a part that the browser kept as if it were the page.
    patch_vary_headers(response, ["HX-Request", "HX-Request-Type"])
    return response


def _get(entity_uid: UUID) -> Customer:
    try:
        return queries.get(entity_uid)
    except Unknown as exc:
        raise Http404 from exc


def _is_provider(request: HttpRequest) -> bool:
    return bool(request.user.has_role(PROVIDER))  # type: ignore[union-attr]


@require_GET
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
        context |= _found(request, q, mode)
    elif is_valid:
        context |= _paged(context["order"], asked.get("page") or 1, context["is_closed_list"])
    return _render(request, "list.html", "_results.html", context, 200 if is_valid else 400)


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


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(AGENT, PROVIDER)
def customer_new(request: HttpRequest) -> HttpResponse:
    """Enter a customer. The form brings the uid, so that sending it twice makes one customer."""
    if request.method != "POST":
        seen = request.GET.get("q", "").strip()[:200]
        initial = {"entity_type": "PERSON", **_guess(seen)}
        context = {"form": CustomerForm(initial=initial), "uid": uuid7(now_us())}
        return _render(request, "form.html", "_form.html", context)
    form = CustomerForm(request.POST)
    try:
        uid = UUID(request.POST.get("uid", ""))
    except ValueError:
        uid = uuid7(now_us())
    if form.is_valid() and _is_entered(request, form, uid):
        messages.success(request, _("The customer has been entered."))
        return _go(request, reverse("customers:record", args=[uid]))
    return _render(request, "form.html", "_form.html", {"form": form, "uid": uid}, 422)


def _guess(q: str) -> dict[str, str]:
    """Put searched words where they most likely belong: the last one is the surname."""
    words = q.split()
    if not words:
        return {}
    numbers = [word for word in words if any(letter.isdigit() for letter in word)]
    names = [word for word in words if word not in numbers]
    return {
        "surname": names[-1] if names else "",
        "name": " ".join(names[:-1]),
        "document_number": numbers[0] if numbers else "",
    }


def _is_entered(request: HttpRequest, form: CustomerForm, uid: UUID) -> bool:
    try:
        commands.create_customer(
            form.changed_values(),
            author_of(request),
            entity_uid=uid,
            entity_type=form.cleaned_data["entity_type"] or "PERSON",
            when=When(form.effective_us, form.cleaned_data["reason"] or None),
        )
    except InvalidValue as error:
        form.refuse(error.field, _(error.expected).capitalize() + ".")
    except AlreadyExists:
        form.refuse("", _("This form was saved before, with other values. Open the list to see it."))
    else:
        return True
    return False


def _go(request: HttpRequest, address: str) -> HttpResponse:
    if request.htmx:  # type: ignore[attr-defined]
        return HttpResponse(status=204, headers={"HX-Redirect": address})
    return redirect(address)


@require_GET
@require_role(AGENT, PROVIDER)
def customer_record(request: HttpRequest, entity_uid: UUID) -> HttpResponse:
    """Show a customer, now or at a moment, each value with who, when and where from."""
    customer = _get(entity_uid)
    form = MomentsForm(request.GET)
    is_valid = form.is_valid()
    as_of, known_at = form.cleaned_data.get("as_of"), form.cleaned_data.get("known_at")
    shown: Customer | None = customer
    if as_of or known_at:
        shown = queries.customer_as_of(entity_uid, as_of or _or_now(known_at), known_at)
    context = {
        "customer": customer,
        "shown": shown,
        "lines": timeline.value_lines(shown) if shown else [],
        "moments": timeline.moments(queries.history(entity_uid)),
        "form": form,
        "as_of": as_of,
        "known_at": known_at,
        "is_past": bool(as_of or known_at),
        "is_provider": _is_provider(request),
    }
    return render(request, "customers/record.html", context, status=200 if is_valid else 400)


def _or_now(known_at: datetime | None) -> datetime | None:
    """As known at K without a date: what was thought at K to be so at K."""
    return known_at


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(AGENT, PROVIDER)
def customer_edit(request: HttpRequest, entity_uid: UUID) -> HttpResponse:
    """Change a customer; who saw an older record than the present one is shown both values."""
    customer = _get(entity_uid)
    if customer.is_deleted:
        messages.warning(request, _("This record is closed and cannot be edited."))
        return _go(request, reverse("customers:record", args=[entity_uid]))
    if request.method != "POST":
        form = CustomerForm(seen=customer.values)
        return _form_page(request, customer, form)
    seen = sealed.unseal(request.POST.get("sealed", ""), entity_uid)
    if seen is None:
        form = CustomerForm(request.POST, seen=customer.values)
        form.refuse("", _("This form cannot be read any more. Check your values and save again."))
        return _form_page(request, customer, form, status=422)
    return _save(request, customer, seen)


def _save(request: HttpRequest, customer: Customer, seen: sealed.View) -> HttpResponse:
    data = request.POST.copy()
    for code in seen.values.keys() | set(data):
        if data.get(f"take_{code}") == "current":
            data[code] = seen.values.get(code) or ""
    form = CustomerForm(data, seen=seen.values)
    if not form.is_valid():
        return _form_page(request, customer, form, seal=request.POST["sealed"], status=422)
    try:
        is_changed = commands.change_customer(
            customer.entity_uid,
            form.changed_values(),
            author_of(request),
            basis=Basis(known=seen.stamps),
            when=When(form.effective_us, form.cleaned_data["reason"] or None),
        )
    except InvalidValue as error:
        form.refuse(error.field, _(error.expected).capitalize() + ".")
        return _form_page(request, customer, form, seal=request.POST["sealed"], status=422)
    except Parked as error:
        form.refuse("", _(str(error)))
        return _form_page(request, customer, form, seal=request.POST["sealed"], status=409)
    except Stale:
        return _stale_page(request, customer.entity_uid, form, seen)
    messages.success(request, _("Saved.") if is_changed else _("Nothing was different."))
    return _go(request, reverse("customers:record", args=[customer.entity_uid]))


def _stale_page(
    request: HttpRequest, entity_uid: UUID, form: CustomerForm, seen: sealed.View
) -> HttpResponse:
    """Show both values of each field that moved, keep all that was typed, and let choose."""
    customer = queries.get(entity_uid)
    if customer.is_deleted:
        messages.warning(request, _("This record was closed while you edited it; nothing was saved."))
        return _go(request, reverse("customers:record", args=[entity_uid]))
    mine = form.changed_values()
    clashes = [
        Clash(code, label_of(code), value, customer.values.get(code), customer.details.get(code))
        for code, value in mine.items()
        if seen.stamps.get(code) != customer.stamps.get(code)
    ]
    # What others changed in fields this author left alone is taken over silently.
    data = request.POST.copy()
    for code in form.fields:
        if code in queries_values(customer) | set(seen.values) and code not in mine:
            data[code] = customer.values.get(code) or ""
    fresh = CustomerForm(data, seen=customer.values)
    return _form_page(request, customer, fresh, clashes=clashes, status=412)


def queries_values(customer: Customer) -> set[str]:
    """Return the codes of a customer that have a value."""
    return set(customer.values)


def _form_page(
    request: HttpRequest,
    customer: Customer,
    form: CustomerForm,
    *,
    seal: str | None = None,
    clashes: list[Clash] | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {
        "customer": customer,
        "form": form,
        "sealed": seal or sealed.seal(customer),
        "clashes": clashes or [],
    }
    return _render(request, "form.html", "_form.html", context, status)


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(AGENT, PROVIDER)
def customer_delete(request: HttpRequest, entity_uid: UUID) -> HttpResponse:
    """Ask, then close the record; its history stays."""
    customer = _get(entity_uid)
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
