"""What the API answers, for its description alone: the answers are made in ``representations``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiParameter,
    OpenApiResponse,
    extend_schema_field,
    extend_schema_serializer,
    inline_serializer,
)
from rest_framework import serializers

from customers.kinds import DETAIL_TYPES

PROBLEM_TYPE = "application/problem+json"

_DESCRIPTIONS = {
    400: "A field, parameter or header is not as expected; `errors` names each.",
    401: "No token, or one that is not valid.",
    403: "The member's roles do not allow this.",
    404: "There is no such record or conflict (`urn:sins:problem:not-found`), or it is closed"
    " (`urn:sins:problem:closed`): a closed record is shown to providers only.",
    405: "This address does not answer that method.",
    409: "The uid stands for other data, the record is closed or cannot be written now, or the"
    " conflict is settled already.",
    412: "The record has changed since it was read; `errors` shows yours and the current value.",
    413: "The body is larger than this location takes.",
    415: "The body has to be JSON.",
}


class StrictBody(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]
    """Says of strict bodies that they hold no other names."""

    target_class = "customers.api_input.Strict"
    match_subclasses = True

    def map_serializer(self, auto_schema: AutoSchema, direction: Any) -> dict[str, Any]:
        """Return the schema of the body."""
        mapped: Any = auto_schema._map_serializer  # noqa: SLF001 - the package says to call it
        found = mapped(self.target, direction, bypass_extensions=True)
        return {**found, "additionalProperties": False}


class ProblemError(serializers.Serializer[Any]):
    """One field that is not as expected; with 412 also what was sent and what is so now."""

    field = serializers.CharField()
    expected = serializers.CharField()
    yours = serializers.JSONField(required=False)
    current = serializers.JSONField(required=False)


class Problem(serializers.Serializer[Any]):
    """Problem details (RFC 9457)."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    errors = ProblemError(many=True)  # type: ignore[assignment]


def problems(*codes: int) -> dict[tuple[int, str], Any]:
    """Return the described problems an operation may answer with, 401 and 403 always."""
    return {
        (code, PROBLEM_TYPE): OpenApiResponse(Problem, _DESCRIPTIONS[code])
        for code in (400, 401, 403, *codes)
    }


def answers(code: int, serializer: Any, description: str = "") -> dict[tuple[int, str], Any]:
    """Return the described good answer of an operation."""
    return {(code, "application/json"): OpenApiResponse(serializer, description)}


WRITE_PROBLEMS = (409, 413, 415)
IF_MATCH = OpenApiParameter(
    "If-Match",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description='The ETag of the GET this write rests on, in quotes; absent or "*": as it stands.',
    pattern=r'^(\*|"[0-9a-f]+")$',
)
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="Without an entity_uid: the same key by the same member means the same record.",
    pattern=r"^[\x21-\x7e]{1,255}$",
)


def uid_parameter() -> OpenApiParameter:
    """Return the path parameter of a record."""
    return OpenApiParameter("entity_uid", OpenApiTypes.UUID, OpenApiParameter.PATH)


def etag_headers(*codes: int) -> list[OpenApiParameter]:
    """Return the description of the ETag that answers bear."""
    return [
        OpenApiParameter(
            "ETag",
            OpenApiTypes.STR,
            OpenApiParameter.HEADER,
            description="For If-Match; not on what was.",
            response=list(codes),
        )
    ]


@extend_schema_field(OpenApiTypes.DATETIME)
class Instant(serializers.CharField):
    """An instant in UTC."""


class Life(serializers.Serializer[Any]):
    """From first to last stamp, and whether it is closed."""

    created_at = Instant(allow_null=True)
    updated_at = Instant(allow_null=True)
    is_deleted = serializers.BooleanField()


class CustomerShown(Life):
    """A customer, flat: every known field, null where nothing is recorded."""

    entity_uid = serializers.UUIDField()
    entity_type = serializers.CharField()
    display_name = serializers.CharField(allow_blank=True)

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Return the fields above and those of all details."""
        texts = {code: serializers.CharField(allow_null=True) for code in DETAIL_TYPES}
        return {**super().get_fields(), **texts}


class FieldScoreShown(serializers.Serializer[Any]):
    """Why: what was asked of a field, what it says, how near that is; empty: no field fits."""

    field = serializers.CharField(allow_blank=True)
    asked = serializers.CharField(allow_blank=True)
    listed = serializers.CharField(allow_blank=True)
    score = serializers.FloatField()
    note = serializers.CharField(allow_blank=True)


class CustomerListed(CustomerShown):
    """A customer in a list; a search adds the score (0 to 100) and the reason per field."""

    score = serializers.FloatField(required=False)
    fields_ = FieldScoreShown(many=True, required=False)

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Return the fields; one of them is called ``fields``."""
        found = super().get_fields()
        return {("fields" if name == "fields_" else name): each for name, each in found.items()}


class ValueShown(serializers.Serializer[Any]):
    """The value object of a simple detail."""

    value = serializers.CharField(allow_null=True)


class DetailShown(serializers.Serializer[Any]):
    """A detail with since when it is so and where it was said."""

    detail_code = serializers.CharField()
    value = ValueShown()
    valid_from = Instant()
    valid_to = Instant(allow_null=True)
    origin = serializers.CharField()
    actor = serializers.UUIDField(allow_null=True)


class EntityAsOfShown(serializers.Serializer[Any]):
    """An entity as it was."""

    entity_uid = serializers.UUIDField()
    entity_type = serializers.CharField()
    display_name = serializers.CharField(allow_blank=True)
    details = DetailShown(many=True)


@extend_schema_serializer(component_name="EntityShown")
class EntityShown(Life, EntityAsOfShown):
    """An entity with its details."""


class HistoryLineShown(serializers.Serializer[Any]):
    """One version; ``detail_code`` is null for the entity's own row."""

    detail_code = serializers.CharField(allow_null=True)
    value = serializers.DictField()
    valid_from = Instant()
    valid_to = Instant(allow_null=True)
    origin = serializers.CharField()
    actor = serializers.UUIDField(allow_null=True)


class ChangeShown(serializers.Serializer[Any]):
    """A field before and after; null where there was no value."""

    detail_code = serializers.CharField(allow_null=True)
    before = serializers.DictField(allow_null=True)
    after = serializers.DictField(allow_null=True)


class EntityChangesShown(serializers.Serializer[Any]):
    """What differs of one entity."""

    entity_uid = serializers.UUIDField()
    changes = ChangeShown(many=True)


class AuditLineShown(serializers.Serializer[Any]):
    """One changed detail: who, when, where, and its value before and after."""

    at = Instant()
    actor = serializers.UUIDField(allow_null=True)
    origin = serializers.CharField()
    operation = serializers.ChoiceField(choices=("INSERT", "UPDATE", "DELETE"))
    entity_uid = serializers.UUIDField()
    detail_code = serializers.CharField(allow_null=True)
    group = serializers.CharField()
    before = serializers.DictField(allow_null=True)
    after = serializers.DictField(allow_null=True)
    effective = Instant()
    reason = serializers.CharField(allow_null=True)
    event_id = serializers.UUIDField()
    event_type = serializers.CharField()
    request_id = serializers.CharField(allow_blank=True)


def paged(serializer: type[serializers.Serializer[Any]], *, counted: bool = True) -> Any:
    """Return the description of a page of a list."""
    links: Mapping[str, serializers.Field[Any, Any, Any, Any]] = {
        "next": serializers.URLField(allow_null=True),
        "previous": serializers.URLField(allow_null=True),
        "results": serializer(many=True),
    }
    count = {"count": serializers.IntegerField()} if counted else {}
    return inline_serializer(f"{serializer.__name__}Page", {**count, **links})
