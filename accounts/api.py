"""``POST /api/v1/auth/token``: a username and a password for a token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from allauth.account.adapter import get_adapter
from django.core.exceptions import ValidationError as FormError
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import (
    APIException,
    AuthenticationFailed,
    ParseError,
    Throttled,
    ValidationError,
)
from rest_framework.parsers import JSONParser
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import ScopedRateThrottle
from rest_framework.views import APIView

from accounts import access, schema  # noqa: F401 - the schema registers itself
from accounts.authors import now_us
from accounts.models import Member
from accounts.tokens import TokenAuthentication, issue

MOST_BYTES = 10_000
"""No username and password are longer, in any encoding."""

LOCKED_OUT_SECONDS = 300
"""The longest a lock-out lasts (ACCOUNT_RATE_LIMITS, ``login_failed``)."""


class TooLong(APIException):
    """The body is too long."""

    status_code = 413
    default_detail = "The body is too long."
    default_code = "too_long"


class TokenRequest(serializers.Serializer[Any]):
    """``{"username", "password"}`` and nothing else."""

    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=1000, trim_whitespace=False)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """Return the two values; a field this body does not have is an error by its name."""
        if isinstance(data, Mapping):
            unknown = [str(name) for name in data if name not in self.fields]
            if unknown:
                raise ValidationError({name: ["There is no such field."] for name in unknown})
        values: dict[str, Any] = super().to_internal_value(data)
        return values


class TokenAnswer(serializers.Serializer[Any]):
    """``{"token"}``: shown this once."""

    token = serializers.CharField()


class AddressThrottle(ScopedRateThrottle):
    """Counts by the caller's address, in the form in which it is logged."""

    def get_ident(self, request: Request) -> str:
        """Return the keyed hash of the address."""
        return access.address_hmac(request)


class TokenView(APIView):
    """Issues tokens for scripts."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    parser_classes = (JSONParser,)
    throttle_classes = (AddressThrottle,)
    throttle_scope = "token"

    def get_authenticate_header(self, request: Request) -> str:
        """Return the scheme a caller should use once it has a token."""
        return TokenAuthentication.keyword

    @extend_schema(
        operation_id="auth_token_create",
        request=TokenRequest,
        responses={
            200: TokenAnswer,
            400: OpenApiResponse(description="A field is missing, unknown or malformed."),
            401: OpenApiResponse(description="Username or password is wrong."),
            413: OpenApiResponse(description="The body is too long."),
            429: OpenApiResponse(description="Too many attempts; see Retry-After."),
        },
    )
    def post(self, request: Request) -> Response:
        """Answer with a new token of the member."""
        body = TokenRequest(data=_body(request))
        body.is_valid(raise_exception=True)
        member = _authenticated(request, **body.validated_data)
        token = issue(member, "API sign-in", now_us())
        access.log_request(request, access.TOKEN_ISSUED, access.OK, member.uid)
        return Response({"token": token}, headers={"Cache-Control": "no-store"})


def _body(request: Request) -> Any:
    # WSGI gives no more than the length announced, so the announcement can be trusted.
    if int(request.headers.get("Content-Length") or 0) > MOST_BYTES:
        raise TooLong
    try:
        return request.data
    except (ParseError, RecursionError) as exc:
        raise ValidationError({"body": ["This is not JSON."]}) from exc


def _authenticated(request: Request, username: str, password: str) -> Member:
    """Return the member, through the same lock-out as the sign-in page."""
    try:
        plain = request._request  # noqa: SLF001 - the adapter counts attempts by Django's request
        member = get_adapter().authenticate(plain, username=username, password=password)
    except FormError as exc:
        raise Throttled(wait=LOCKED_OUT_SECONDS) from exc
    if not isinstance(member, Member):
        raise AuthenticationFailed("Username or password is wrong.")
    return member
