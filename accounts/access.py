"""The access log: sign-ins, refusals, searches: what happens without making an event."""

from __future__ import annotations

import base64
import hashlib
import hmac
from uuid import UUID

from allauth.account.adapter import get_adapter
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from accounts.authors import now_us, request_id_of
from accounts.models import Access
from events.stamp import to_datetime

SIGN_IN = "sign_in"
SIGN_OUT = "sign_out"
TOKEN_ISSUED = "token_issued"
REFUSAL = "refusal"
SEARCH = "search"
EXPORT = "export"

OK = "ok"
WRONG_CREDENTIALS = "wrong_credentials"
LOCKED_OUT = "locked_out"
UNAUTHENTICATED = "unauthenticated"
UNUSABLE_TOKEN = "unusable_token"
LACKS_ROLE = "lacks_role"


def log_access(  # noqa: PLR0913 - a column each
    kind: str,
    *,
    at: int,
    location: str,
    actor: UUID | None,
    route: str,
    outcome: str,
    request_id: str,
    address_hmac: str = "",
) -> None:
    """Add one line to the access log; ``at`` is in µs since 1970.

    ``kind`` and ``outcome`` are constants, ``route`` a URL pattern: no value a person typed.
    """
    Access.objects.create(
        kind=kind,
        at=to_datetime(at),
        location=location,
        actor=actor,
        route=route[:200],
        outcome=outcome,
        request_id=request_id[:200],
        address_hmac=address_hmac,
    )


def log_request(request: HttpRequest, kind: str, outcome: str, actor: UUID | None = None) -> None:
    """Add a line about ``request`` to the access log.

    The actor is an argument: reading ``request.user`` while it is being found out would recurse.
    """
    match = request.resolver_match
    log_access(
        kind,
        at=now_us(),
        location=settings.LOCATION_ID,
        actor=actor,
        route=match.route if match else "",
        outcome=outcome,
        request_id=request_id_of(request),
        address_hmac=address_hmac(request),
    )


def address_hmac(request: HttpRequest) -> str:
    """Return the caller's address as a keyed hash (hex), empty where there is none.

    Keyed, because the few billion addresses there are could all be tried against a plain hash.
    """
    try:
        address = get_adapter().get_client_ip(request)
    except PermissionDenied:  # A server behind a Unix socket names no address.
        return ""
    return hmac.new(_secret(), f"address:{address}".encode(), hashlib.sha256).hexdigest()


def _secret() -> bytes:
    return base64.b64decode(settings.NETWORK_SECRET)
