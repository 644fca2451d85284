"""The page of the conflict inbox, and settling what stands on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from accounts.authors import author_of, member_of
from accounts.roles import AGENT, PROVIDER, require_role
from customers import conflict_rows, sealed
from customers.commands import Basis
from customers.conflict_forms import InboxForm
from customers.conflict_rows import Refusal
from customers.forms import sentence
from customers.kinds import ENTITY
from customers.resolving import CHOICES, ENTER, Choice, Outcome, settle
from customers.responses import get_or_404
from customers.sealed import ItemView
from events import items, sql
from events.errors import InvalidValue, SinsError, Stale
from events.items import OPEN, Filter

PAGE_SIZE = 25


@require_safe
@require_role(AGENT, PROVIDER)
def inbox(request: HttpRequest) -> HttpResponse:
    """List conflicts: both values side by side, who said them, where and when."""
    return _page(request, InboxForm(request.GET))


@require_POST
@require_role(PROVIDER)
def resolve(request: HttpRequest) -> HttpResponse:
    """Settle one conflict or many; what could not be settled is shown again, with the reason."""
    form = InboxForm(request.GET)
    choice, value = request.POST.get("choice", ""), request.POST.get("value", "")
    seen = [sealed.unseal_item(text) for text in request.POST.getlist("item")]
    views = {view.item_id: view for view in seen if view is not None}
    problem = _problem(choice, seen, views)
    if problem:
        messages.error(request, problem)
        return _page(request, form, status=422)
    chosen = [Choice(item_id, choice, value if choice == ENTER else None) for item_id in views]
    bases = {view.entity_uid: Basis(known=view.stamps) for view in views.values()}
    outcomes = settle(chosen, author_of(request), bases)
    _tell(request, outcomes)
    errors = {outcome.item_id: outcome.error for outcome in outcomes if outcome.error}
    if not errors:
        return redirect(_address(form))
    refused = {
        item_id: Refusal(_sentence(error), value if _is_typed(error) else None)
        for item_id, error in errors.items()
    }
    return _page(request, form, refused, _status(list(errors.values())))


def _problem(
    choice: str, seen: Sequence[ItemView | None], views: Mapping[str, ItemView]
) -> str | None:
    """Return what is wrong with the form as a whole, if anything is."""
    if not seen:
        return _("Nothing was selected.")
    if len(views) < len(seen):
        return _("This form cannot be read any more. Look at the conflicts below, then decide.")
    if choice not in CHOICES or (choice == ENTER and len(views) > 1):
        return _("Keep, swap, or enter another value for one conflict.")
    return None


def _tell(request: HttpRequest, outcomes: Sequence[Outcome]) -> None:
    """Say what came of the choices; the reason stands with each that is still to be decided."""
    refused = [outcome.error for outcome in outcomes if outcome.error]
    settled = len(outcomes) - len(refused)
    if settled:
        text = ngettext(
            "%(count)s conflict is settled.", "%(count)s conflicts are settled.", settled
        )
        messages.success(request, text % {"count": settled})
    if refused:
        text = ngettext(
            "%(count)s conflict was not settled:", "%(count)s conflicts were not settled:",
            len(refused),
        )  # fmt: skip
        reasons = " ".join(dict.fromkeys(_sentence(error) for error in refused))
        messages.error(request, f"{text % {'count': len(refused)}} {reasons}")


def _sentence(error: SinsError) -> str:
    if isinstance(error, InvalidValue):
        return sentence(error.expected)
    return _(str(error))


def _is_typed(error: SinsError) -> bool:
    return isinstance(error, InvalidValue) and error.field == "value"


def _status(errors: Sequence[SinsError]) -> int:
    """Return the status of the page: what its reader can mend goes first."""
    if any(isinstance(error, Stale) for error in errors):
        return 412
    return 422 if any(isinstance(error, InvalidValue) for error in errors) else 409


def _page(
    request: HttpRequest,
    form: InboxForm,
    refused: Mapping[str, Refusal] | None = None,
    status: int = 200,
) -> HttpResponse:
    is_valid = form.is_valid()
    asked = form.cleaned_data
    state, entity = asked.get("state") or OPEN, asked.get("entity")
    page = asked.get("page") or 1
    member = member_of(request)
    wanted = Filter(state, entity, ENTITY)
    # One more than is shown tells whether there is a next page.
    with sql.snapshot():
        total = items.count(wanted)
        found = items.page(wanted, (page - 1) * PAGE_SIZE, PAGE_SIZE + 1)
    context: dict[str, Any] = {
        "form": form,
        "customer": get_or_404(entity) if entity else None,
        "rows": conflict_rows.rows_of(found[:PAGE_SIZE], refused or {}),
        "total": total,
        "is_open": state == OPEN,
        "is_provider": member is not None and member.has_role(PROVIDER),
        "states": [
            (label, _query(value, entity, 1), value == state) for value, label in InboxForm.STATES
        ],
        "page": page,
        "here": _query(state, entity, page),
        "previous": _query(state, entity, page - 1) if page > 1 else None,
        "next": _query(state, entity, page + 1) if len(found) > PAGE_SIZE else None,
    }
    return render(request, "customers/conflicts.html", context, status=status if is_valid else 400)


def _address(form: InboxForm) -> str:
    """Return where to go on: the same list, from its first page."""
    asked = form.cleaned_data if form.is_valid() else {}
    query = _query(asked.get("state") or OPEN, asked.get("entity"), 1)
    return f"{reverse('customers:conflicts')}{query}"


def _query(state: str, entity: UUID | None, page: int) -> str:
    """Return the query of a list; nothing for what is so without it."""
    asked = {
        **({"state": state} if state != OPEN else {}),
        **({"entity": str(entity)} if entity else {}),
        **({"page": str(page)} if page > 1 else {}),
    }
    return f"?{urlencode(asked)}" if asked else ""
