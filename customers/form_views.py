"""The pages on which a customer is entered and changed."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.authors import author_of, now_us
from accounts.roles import AGENT, PROVIDER, require_role
from customers import commands, queries, sealed
from customers.clashes import Clash, clashes, taken_over
from customers.commands import Basis, When
from customers.forms import CustomerForm, sentence
from customers.labels import DETAIL_LABELS, Text
from customers.queries import Customer
from customers.responses import get_or_404, go, render_part
from events.errors import AlreadyExists, InvalidValue, Parked, Stale
from events.stamp import uuid7


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(AGENT, PROVIDER)
def customer_new(request: HttpRequest) -> HttpResponse:
    """Enter a customer. The form brings the uid, so that sending it twice makes one customer."""
    if request.method != "POST":
        seen = request.GET.get("q", "").strip()[:200]
        initial = {"entity_type": "PERSON", **_guess(seen)}
        context = {"form": CustomerForm(initial=initial), "uid": uuid7(now_us())}
        return render_part(request, "form.html", "_form.html", context)
    form = CustomerForm(request.POST)
    try:
        uid = UUID(request.POST.get("uid", ""))
    except ValueError:
        uid = uuid7(now_us())
    if form.is_valid() and _is_entered(request, form, uid):
        messages.success(request, _("The customer has been entered."))
        return go(request, reverse("customers:record", args=[uid]))
    return render_part(request, "form.html", "_form.html", {"form": form, "uid": uid}, 422)


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
        form.refuse(error.field, sentence(error.expected))
    except AlreadyExists:
        form.refuse(
            "",
            _("This form was saved before, with other values. Open the list to see it."),
        )
    else:
        return True
    return False


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(AGENT, PROVIDER)
def customer_edit(request: HttpRequest, entity_uid: UUID) -> HttpResponse:
    """Change a customer; who saw an older record than the present one is shown both values."""
    customer = get_or_404(entity_uid)
    if customer.is_deleted:
        messages.warning(request, _("This record is closed and cannot be edited."))
        return go(request, reverse("customers:record", args=[entity_uid]))
    if request.method != "POST":
        form = CustomerForm(seen=customer.values)
        return _form_page(request, customer, form)
    seen = sealed.unseal(request.POST.get("sealed", ""), entity_uid)
    if seen is None:
        form = CustomerForm(request.POST, seen=customer.values)
        form.refuse(
            "",
            _("This form cannot be read any more. Check your values and save again."),
        )
        return _form_page(request, customer, form, status=422)
    return _save(request, customer, seen)


def _save(request: HttpRequest, customer: Customer, seen: sealed.View) -> HttpResponse:
    data = request.POST.copy()
    for code in DETAIL_LABELS:
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
        form.refuse(error.field, sentence(error.expected))
        return _form_page(request, customer, form, seal=request.POST["sealed"], status=422)
    except Parked as error:
        form.refuse("", _(str(error)))
        return _form_page(request, customer, form, seal=request.POST["sealed"], status=409)
    except Stale:
        return _stale_page(request, customer.entity_uid, form, seen)
    messages.success(request, _("Saved.") if is_changed else _("Nothing was different."))
    return go(request, reverse("customers:record", args=[customer.entity_uid]))


def _stale_page(
    request: HttpRequest, entity_uid: UUID, form: CustomerForm, seen: sealed.View
) -> HttpResponse:
    """Show both values of each field two people changed, keep all that was typed, let choose."""
    customer = queries.get(entity_uid)
    if customer.is_deleted:
        messages.warning(
            request, _("This record was closed while you edited it; nothing was saved.")
        )
        return go(request, reverse("customers:record", args=[entity_uid]))
    mine = form.changed_values()
    # What others changed in fields this author left alone is taken over.
    data = request.POST.copy()
    for code in DETAIL_LABELS.keys() - mine.keys():
        data[code] = customer.values.get(code) or ""
    fresh = CustomerForm(data, seen=customer.values)
    return _form_page(
        request,
        customer,
        fresh,
        clashing=clashes(mine, seen, customer),
        taken=taken_over(mine, seen, customer),
        status=412,
    )


def _form_page(
    request: HttpRequest,
    customer: Customer,
    form: CustomerForm,
    *,
    seal: str | None = None,
    clashing: Sequence[Clash] = (),
    taken: Sequence[Text] = (),
    status: int = 200,
) -> HttpResponse:
    context = {
        "customer": customer,
        "form": form,
        "sealed": seal or sealed.seal(customer),
        "clashes": {clash.code: clash for clash in clashing},
        "taken": taken,
        "is_stale": status == 412,
    }
    return render_part(request, "form.html", "_form.html", context, status)
