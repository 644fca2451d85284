"""Requests between locations are signed; a member's token or session opens nothing here.

The signature (Ed25519) is over who asks whom for what, when, with which body: it cannot be used
at another location, for another request, or five minutes later.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
from dataclasses import dataclass
from hashlib import sha256

from django.conf import settings
from django.http import HttpRequest

from consumers.errors import Refused
from events import locations, streams
from events.chain import signature_of
from events.envelope import canonical

FRESH_MICROS = 5 * 60 * 1_000_000
LOCATION, DATE, SIGNATURE = "X-Sins-Location", "X-Sins-Date", "X-Sins-Signature"


@dataclass(frozen=True, slots=True)
class Call:
    """What is signed; ``date`` is µs since 1970, ``route`` the part of the path after ``sync/``."""

    sender: str
    receiver: str
    method: str
    route: str
    query: str
    date: int
    body: bytes = b""

    def signed_bytes(self) -> bytes:
        """Return what the signature is over."""
        return b"sins request\n" + canonical(
            {
                "from": self.sender,
                "to": self.receiver,
                "method": self.method,
                "route": self.route,
                "query": self.query,
                "date": self.date,
                "body": sha256(self.body).hexdigest(),
            }
        )


def headers_of(call: Call) -> dict[str, str]:
    """Return the headers that sign a call of this location."""
    signature = signature_of(call.signed_bytes(), streams.own_key())
    return {
        LOCATION: call.sender,
        DATE: str(call.date),
        SIGNATURE: base64.b64encode(signature).decode(),
    }


def sender_of(request: HttpRequest, route: str, now: int) -> str:
    """Return the peer that signed this request, with a key that holds; ``Refused`` otherwise."""
    if not request.is_secure() and not _is_on_this_machine(request):
        raise Refused("not encrypted")
    sender = request.headers.get(LOCATION, "")
    if sender not in locations.peers():
        raise Refused("not a registered location")
    try:
        date = int(request.headers.get(DATE, ""))
        signature = base64.b64decode(request.headers.get(SIGNATURE, ""), validate=True)
    except (ValueError, binascii.Error) as exc:
        raise Refused("malformed signature") from exc
    if abs(now - date) > FRESH_MICROS:
        raise Refused("not fresh")
    query, method = request.META.get("QUERY_STRING", ""), request.method or ""
    call = Call(sender, settings.LOCATION_ID, method, route, query, date, request.body)
    if not locations.is_signature_of(sender, signature, call.signed_bytes()):
        raise Refused("wrong signature")
    return sender


def _is_on_this_machine(request: HttpRequest) -> bool:
    """Whether the request comes from this machine itself, not through a proxy on it."""
    if {"X-Forwarded-For", "Forwarded"} & set(request.headers):
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False
