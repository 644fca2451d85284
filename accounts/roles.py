"""Who may enter: a decorator for pages, a permission for the API, and every refusal logged."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec
from urllib.parse import urlsplit

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from accounts import access
from accounts.authors import member_of
from accounts.models import Role

if TYPE_CHECKING:  # rest_framework.views itself asks this module for its default permission.
    from rest_framework.views import APIView

CUSTOMER = Role.CUSTOMER.value
AGENT = Role.AGENT.value
PROVIDER = Role.PROVIDER.value
ADMIN = Role.ADMIN.value

P = ParamSpec("P")
Page = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def require_role(*roles: str) -> Callable[[Page[P]], Page[P]]:
    """Let only members with one of ``roles`` see a page; admins see every page.

    Who is not signed in is asked to do so and comes back; who lacks the role gets a 403 page.
    """
    _known(roles)

    def decorate(page: Page[P]) -> Page[P]:
        @wraps(page)
        def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            member = member_of(request)
            if member is None:
                return _ask_to_sign_in(request)
            if not member.has_role(*roles):
                access.log_request(request, access.REFUSAL, access.LACKS_ROLE, member.uid)
                raise PermissionDenied
            return page(request, *args, **kwargs)

        return guarded

    return decorate


def HasRole(*roles: str) -> type[BasePermission]:  # noqa: N802 - used as a class is
    """Return a DRF permission for members with one of ``roles``; admins have every role.

    Not to be joined with ``|``: each one that refuses logs the refusal.
    """
    _known(roles)

    class RolePermission(BasePermission):
        """Allows members with one of the roles it was made for."""

        def has_permission(self, request: Request, view: APIView) -> bool:
            member = member_of(request)
            if member is not None and member.has_role(*roles):
                return True
            outcome = access.LACKS_ROLE if member else access.UNAUTHENTICATED
            access.log_request(request, access.REFUSAL, outcome, member.uid if member else None)
            return False

    return RolePermission


def _known(roles: tuple[str, ...]) -> None:
    if not roles or not set(roles) <= set(Role.values):
        raise ValueError(f"roles must be among {Role.values}, not {roles}")


def _ask_to_sign_in(request: HttpRequest) -> HttpResponse:
    if "HX-Request" not in request.headers:
        is_read = request.method in {"GET", "HEAD"}
        # A form that was sent cannot be opened again by its address.
        return redirect_to_login(request.get_full_path() if is_read else "/")
    # A redirect would put the sign-in page inside the fragment: the whole page has to go there.
    here = urlsplit(request.headers.get("HX-Current-URL", ""))
    back = redirect_to_login(f"{here.path or '/'}?{here.query}" if here.query else here.path or "/")
    return HttpResponse(status=401, headers={"HX-Redirect": back.url})


AdminOnly: Any = HasRole(ADMIN)
"""The default of every API view: one that forgets to name its roles is closed, not open."""
