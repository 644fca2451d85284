"""API tokens: issued once in the clear, kept as a hash, shown in the Authorization header."""

from __future__ import annotations

import hashlib
import secrets

from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts import access
from accounts.authors import now_us
from accounts.models import ApiToken, Member
from events.stamp import to_datetime

PREFIX = "sins_"
"""Lets a scanner for leaked secrets find one of ours."""


def token_hash(plaintext: str) -> str:
    """Return the SHA-256 (hex) under which a token is kept.

    No slow hash: 32 random bytes cannot be guessed, and every request pays for it.
    """
    return hashlib.sha256(plaintext.encode()).hexdigest()


def new_token() -> str:
    """Return a token nobody has yet: ``sins_`` and 43 URL-safe characters."""
    return PREFIX + secrets.token_urlsafe(32)


def issue(member: Member, name: str, now: int, expires: int | None = None) -> str:
    """Give ``member`` a token called ``name`` and return it, the only time it can be read.

    ``now`` and ``expires`` are in µs since 1970; without ``expires`` it lasts until revoked.
    """
    plaintext = new_token()
    keep(member, name, plaintext, now, expires)
    return plaintext


def keep(member: Member, name: str, plaintext: str, now: int, expires: int | None = None) -> None:
    """Keep a token made elsewhere, as its hash."""
    ApiToken.objects.create(
        member=member,
        name=name,
        token_hash=token_hash(plaintext),
        created_at=to_datetime(now),
        expires_at=None if expires is None else to_datetime(expires),
    )


def revoke(token: ApiToken, now: int) -> None:
    """End a token for good; when it was first revoked stays."""
    ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=to_datetime(now))


def find(plaintext: str, now: int) -> ApiToken | None:
    """Return the token if it is usable at ``now`` (µs), with its member."""
    found = (
        ApiToken.objects.select_related("member").filter(token_hash=token_hash(plaintext)).first()
    )
    return found if found and found.is_usable(to_datetime(now)) else None


class TokenAuthentication(BaseAuthentication):
    """``Authorization: Token sins_…``; writes nothing on the way in."""

    keyword = "Token"

    def authenticate(self, request: Request) -> tuple[Member, ApiToken] | None:
        """Return member and token; ``None`` if the header is another scheme's or absent."""
        scheme, _, credentials = get_authorization_header(request).partition(b" ")
        if scheme.lower() != self.keyword.lower().encode():
            return None
        token = find(credentials.strip().decode("latin-1"), now_us())
        if token is None:
            _log_unusable(request)
            # Revoked, expired, never issued, owner disabled: the answer does not say which.
            raise AuthenticationFailed("The token is not valid.")
        return token.member, token

    def authenticate_header(self, request: Request) -> str:
        """Return the scheme for ``WWW-Authenticate``, which makes a refusal a 401."""
        return self.keyword


def _log_unusable(request: HttpRequest) -> None:
    access.log_request(request, access.REFUSAL, access.UNUSABLE_TOKEN)
