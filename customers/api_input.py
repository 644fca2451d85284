"""What the API takes in: a bounded JSON body, known query parameters, conditions of a write.

Input checks only: nothing here reads or writes a record.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import IO, Any, ClassVar
from uuid import UUID

from django.conf import settings
from django.http import QueryDict
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.fields import empty
from rest_framework.parsers import JSONParser
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.authors import now_us
from accounts.roles import AGENT, PROVIDER, HasRole
from customers import moments
from customers.commands import MAX_REASON, Basis, When
from customers.details import checked_text
from events.errors import InvalidValue
from events.stamp import to_micros

MAX_LIMIT = 1000
MAX_OFFSET = 10_000_000
DEFAULT_LIMIT = 50

_UID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_INTEGER = re.compile(r"-?\d{1,18}", re.ASCII)
_ETAG = re.compile(r'(?:W/)?"([\x21\x23-\x7e]*)"')


class BodyTooLarge(APIException):
    """The body is larger than this location takes."""

    status_code = 413
    default_detail = "The body is larger than this location takes."


class JsonBody(JSONParser):
    """A JSON object of bounded size; each name in it once."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Return the object; what is none is answered with 400, what is too large with 413."""
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0
        body = stream.read(limit + 1)
        if len(body) > limit:
            raise BodyTooLarge
        try:
            found = json.loads(body.decode(), object_pairs_hook=_object, parse_constant=_refused)
        except json.JSONDecodeError as exc:
            place = f"line {exc.lineno}, column {exc.colno}"
            raise ValidationError({"body": [f"JSON, which it is not at {place}"]}) from exc
        except (ValueError, RecursionError) as exc:
            raise ValidationError({"body": ["JSON in UTF-8, each name once"]}) from exc
        if not isinstance(found, dict):
            raise ValidationError({"body": ["a JSON object"]})
        return found


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice")
    return found


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


class Strict(serializers.Serializer[Any]):
    """Names that it does not know are errors, not ignored."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """Return the checked values; ``ValidationError`` by field."""
        if isinstance(data, Mapping):
            unknown = [str(name) for name in data if name not in self.fields]
            if unknown:
                known = f"unknown; known are {', '.join(self.fields) or 'none'}"
                raise ValidationError({name: [known] for name in unknown})
        values: dict[str, Any] = super().to_internal_value(data)
        return values


class Asked(Strict):
    """The query parameters of an address."""

    @classmethod
    def of(cls, query: QueryDict) -> dict[str, Any]:
        """Return the checked parameters; ``ValidationError`` names those that are not."""
        repeated = [name for name, values in query.lists() if len(values) > 1]
        if repeated:
            raise ValidationError({name: ["given once"] for name in repeated})
        nul = [name for name, value in query.items() if "\x00" in name + str(value)]
        if nul:
            raise ValidationError({name: ["text without NUL"] for name in nul})
        asked = cls(data=query.dict())
        asked.is_valid(raise_exception=True)
        values: dict[str, Any] = asked.validated_data
        return values


class Whole(serializers.IntegerField):
    """An integer as people write it: digits only."""

    def to_internal_value(self, data: Any) -> int:
        """Return the integer; ``1_0``, ``1.0`` and the digits of other scripts are none."""
        if not _INTEGER.fullmatch(str(data)):
            raise ValidationError("an integer")
        return int(data)


class Uid(serializers.UUIDField):
    """A UUID in its usual form."""

    def to_internal_value(self, data: Any) -> UUID:
        """Return the UUID; integers, URNs and braces are none."""
        return uid_of_text(data)


def uid_of_text(text: Any, field: str | None = None) -> UUID:
    """Return the UUID that ``text`` is; ``ValidationError``, of ``field`` if one is named."""
    if not isinstance(text, str) or not _UID.fullmatch(text):
        expected = "a UUID, such as 0198c5a0-0000-7000-8000-000000000000"
        raise ValidationError({field: [expected]} if field else expected)
    return UUID(text)


@extend_schema_field(
    {"anyOf": [{"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}]}
)
class Moment(serializers.Field[Any, Any, Any, Any]):
    """A day of the network, taken to its end (or before its start), or an exact time."""

    def __init__(self, *, starts: bool = False, **kwargs: Any) -> None:
        """Make the field; ``starts`` for a period's beginning."""
        super().__init__(**kwargs)
        self._starts = starts

    def to_internal_value(self, data: Any) -> datetime:
        """Return the UTC instant."""
        read = moments.before if self._starts else moments.end_of
        try:
            return read(str(data), settings.DISPLAY_TIME_ZONE)
        except ValueError as exc:
            raise ValidationError(str(exc)) from exc


@extend_schema_field({"type": "string", "format": "date-time"})
class Effective(serializers.Field[Any, Any, Any, Any]):
    """When a change took effect: a past time with its zone; in µs since 1970."""

    def to_internal_value(self, data: Any) -> int:
        """Return µs since 1970."""
        try:
            micros = to_micros(moments.exact(data if isinstance(data, str) else ""))
        except ValueError as exc:
            raise ValidationError(str(exc)) from exc
        if not 0 <= micros <= now_us():
            raise ValidationError("a time since 1970, not in the future")
        return micros


class Reason(serializers.CharField):
    """Why something is done; empty or null says nothing."""

    def __init__(self) -> None:
        """Make the field."""
        super().__init__(required=False, allow_blank=True, allow_null=True, max_length=MAX_REASON)

    def run_validation(self, data: Any = empty) -> str | None:
        """Return the text."""
        if data is empty:
            super().run_validation(data)
        try:
            return None if data is None else checked_text("reason", data, MAX_REASON)
        except InvalidValue as exc:
            raise ValidationError(exc.expected) from exc


class Paged(Asked):
    """``limit`` and ``offset`` of a list."""

    limit = Whole(required=False, min_value=1, max_value=MAX_LIMIT)
    offset = Whole(required=False, min_value=0, max_value=MAX_OFFSET)


class ApiView(APIView):
    """A view for those who look after customers, with checked query parameters in ``asked``."""

    parser_classes = (JsonBody,)
    permission_classes: Sequence[type[BasePermission]] = (HasRole(AGENT, PROVIDER),)
    questions: ClassVar[Mapping[str, type[Asked]]] = {}  # by method; any other takes none

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Check who asks, then what is asked."""
        super().initial(request, *args, **kwargs)
        method = "GET" if request.method == "HEAD" else str(request.method)
        query = request.query_params
        is_served = method != "OPTIONS" and hasattr(self, method.lower())
        self.asked = self.questions.get(method, Asked).of(query) if is_served else {}


def settled(instant: datetime) -> datetime:
    """Return the instant to read at: from now on, what is so at last, whatever its stamp."""
    return moments.EVER if to_micros(instant) >= now_us() else instant


def checked_body(request: Request, serializer: type[Strict]) -> dict[str, Any]:
    """Return the checked body; ``ValidationError`` names each field that is not as expected."""
    body = serializer(data=request.data)
    body.is_valid(raise_exception=True)
    return dict(body.validated_data)


def when_of(body: Mapping[str, Any]) -> When:
    """Return when a change takes effect and why."""
    return When(body.get("effective"), body.get("reason") or None)


def basis_of(request: Request, etag: str) -> Basis:
    """Return what the caller had seen, by ``If-Match``; ``etag`` is that of the record now."""
    text = request.headers.get("If-Match")
    if text is None or text.strip() == "*":
        return Basis()
    tags = [_ETAG.fullmatch(part.strip()) for part in text.split(",")]
    known = [tag[1] for tag in tags if tag]
    if len(known) < len(tags):
        raise ValidationError({"If-Match": ['the ETag of a GET, in quotes: "…", or *']})
    return Basis(if_match=etag if etag in known else known[0])
