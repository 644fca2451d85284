"""The bodies and query parameters of the customers' API; they check input and write nothing.

What a value must look like is said once, in ``customers.details``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.fields import empty

from customers import details
from customers.api_input import (
    MAX_LIMIT,
    Asked,
    Effective,
    Moment,
    Paged,
    Reason,
    Strict,
    Uid,
    Whole,
)
from customers.kinds import DETAIL_TYPES, ENTITY_TYPES
from customers.listings import MAX_TERMS
from customers.search import MODES
from events.errors import InvalidValue

NO_VALUE = "at least one value, such as a surname"
READ_ONLY = ("created_at", "updated_at")
_FORMATS: Mapping[str, Mapping[str, Any]] = {
    "date": {"format": "date"},
    "member": {"format": "uuid"},
    "email": {"pattern": rf"^({details.EMAIL})?$", "maxLength": details.DEFAULT_MAX_LENGTH},
}


def _text_schema(code: str) -> dict[str, Any]:
    most = details.MAX_LENGTH.get(code, details.DEFAULT_MAX_LENGTH)
    kind = DETAIL_TYPES.get(code, ("", "text", False))[1]
    return {
        "type": "string",
        "nullable": True,
        **_FORMATS.get(kind, {"maxLength": most}),
    }


class DetailText(serializers.CharField):
    """The value of one detail; empty or null removes it."""

    def __init__(self, code: str) -> None:
        """Make the field of the detail ``code``."""
        super().__init__(required=False, allow_null=True, allow_blank=True)
        self._code = code

    def run_validation(self, data: Any = empty) -> str | None:
        """Return the canonical value."""
        if data is empty:
            super().run_validation(data)
        try:
            return details.checked(self._code, data)
        except InvalidValue as exc:
            raise ValidationError(exc.expected) from exc


def _detail_field(code: str) -> DetailText:
    typed = extend_schema_field(_text_schema(code))(type(f"Detail_{code}", (DetailText,), {}))
    field: DetailText = typed(code)
    return field


class DisplayName(serializers.CharField):
    """A name set by hand; empty or null lets it be derived again."""

    def run_validation(self, data: Any = empty) -> str:
        """Return the text, empty for none."""
        if data is empty:
            super().run_validation(data)
        if data is None:
            return ""
        try:
            return details.checked_text("display_name", data, details.DEFAULT_MAX_LENGTH)
        except InvalidValue as exc:
            raise ValidationError(exc.expected) from exc


@extend_schema_field({"type": "string", "enum": list(ENTITY_TYPES)})
class EntityType(serializers.Field[Any, Any, Any, Any]):
    """PERSON or INSTITUTION, in any case."""

    def to_internal_value(self, data: Any) -> str:
        """Return the type."""
        try:
            return details.checked_type(data)
        except InvalidValue as exc:
            raise ValidationError(exc.expected) from exc


@extend_schema_field(
    {"type": "string", "enum": [*DETAIL_TYPES, *(code.upper() for code in DETAIL_TYPES)]}
)
class DetailCode(serializers.Field[Any, Any, Any, Any]):
    """A detail's code, in any case."""

    def to_internal_value(self, data: Any) -> str:
        """Return the code as it is kept."""
        code = data.lower() if isinstance(data, str) else ""
        if code not in DETAIL_TYPES:
            raise ValidationError(f"expected one of {', '.join(DETAIL_TYPES)}")
        return code


@extend_schema_field({"type": "boolean", "enum": [False]})
class StillOpen(serializers.Field[Any, Any, Any, Any]):
    """That a record is not closed: closing has a method of its own."""

    def to_internal_value(self, data: Any) -> bool:
        """Return False, the only value there is."""
        if data is not False:
            raise ValidationError("false; a record is closed with DELETE")
        return False


class CustomerChange(Strict):
    """What of a customer is to be so; a field that is absent stays as it is."""

    entity_uid = Uid(required=False, help_text="On a change: the record's own, if at all.")
    entity_type = EntityType(required=False)
    display_name = DisplayName(required=False, allow_null=True, allow_blank=True, max_length=300)
    effective = Effective(required=False, help_text="Since when it is so; absent: now.")
    reason = Reason()
    is_deleted = StillOpen(
        required=False, help_text="Only what it is: DELETE closes, …/restore opens again."
    )

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Return the fields above, those of all details, and those that are only read."""
        return {
            **super().get_fields(),
            **{code: _detail_field(code) for code in DETAIL_TYPES},
        }

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """Return the checked values; what a GET adds may come back and is left alone."""
        if isinstance(data, Mapping):
            data = {name: value for name, value in data.items() if name not in READ_ONLY}
        return super().to_internal_value(data)


@extend_schema_field({"type": "string", "nullable": True})
class Unchecked(serializers.Field[Any, Any, Any, Any]):
    """A value as it was sent: its detail code decides what it may be."""

    def to_internal_value(self, data: Any) -> Any:
        """Return it."""
        return data


class DetailValue(Strict):
    """``{"value": "…"}``: the one field of a simple detail."""

    value = Unchecked(allow_null=True)

    def run_validation(self, data: Any = empty) -> dict[str, Any]:
        """Return the object; a plain string is told what is expected."""
        if data is not empty and not isinstance(data, Mapping):
            raise ValidationError('an object, such as {"value": "alice@example.com"}')
        checked: dict[str, Any] = super().run_validation(data)
        return checked


class EntityDetailInput(Strict):
    """One detail: its code and its value object."""

    detail_code = DetailCode()
    value = DetailValue()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Check the value by its code."""
        try:
            details.checked(attrs["detail_code"], attrs["value"]["value"])
        except InvalidValue as exc:
            raise ValidationError({"value": {"value": [exc.expected]}}) from exc
        return attrs


class EntityChange(Strict):
    """What of an entity is to be so; a detail that is not listed stays as it is."""

    entity_uid = Uid(required=False)
    entity_type = EntityType(required=False)
    display_name = DisplayName(required=False, allow_null=True, allow_blank=True, max_length=300)
    details = EntityDetailInput(many=True, required=False)
    effective = Effective(required=False, help_text="Since when it is so; absent: now.")
    reason = Reason()

    def validate_details(self, value: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Refuse a code that stands twice."""
        codes = [detail["detail_code"] for detail in value]
        if len(codes) > len(set(codes)):
            raise ValidationError("each code once")
        return value


class EntitiesAsked(Paged):
    """The filters of the list of entities."""

    q = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=200,
        help_text="Words that each stand somewhere in the name or a detail.",
    )
    type = EntityType(required=False)
    detail_code = DetailCode(required=False, help_text="Only entities that have this detail.")

    def validate_q(self, value: str) -> str:
        """Bound what a question costs."""
        if len(value.split()) > MAX_TERMS:
            raise ValidationError(f"at most {MAX_TERMS} words")
        return value


class CustomersAsked(Paged):
    """A page of all customers, or with ``q`` the best hits of a search."""

    q = serializers.CharField(required=False, allow_blank=True, max_length=500)
    mode = serializers.ChoiceField(
        required=False,
        choices=MODES,
        error_messages={"invalid_choice": f"one of {', '.join(MODES)}"},
        help_text="How q is searched for; fuzzy unless said.",
    )
    limit = Whole(
        required=False,
        min_value=1,
        max_value=MAX_LIMIT,
        help_text=f"Of a fuzzy search: {settings.FUZZY_HIT_LIMIT} unless said.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse what a search does not know."""
        if attrs.get("q") and attrs.get("offset"):
            raise ValidationError({"offset": ["not with q: a search answers with its best hits"]})
        return attrs


class RecordAsked(Asked):
    """The two clocks of a record."""

    as_of = Moment(required=False, help_text="As it was then; of a day, at its end.")
    known_at = Moment(required=False, help_text="As this location knew it then.")


class AsOfAsked(Paged):
    """A moment, and a page of what was."""

    as_of = Moment(help_text="A day means its end.")


class DiffAsked(Paged):
    """A period, ``from`` its first day's start ``to`` its last day's end."""

    entity_uid = Uid(required=False)

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Return the fields; ``from`` is no name in Python."""
        return {"from": Moment(starts=True), "to": Moment(), **super().get_fields()}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a period that ends before it begins."""
        # A day begins just after the instant it is read at: see ``moments.before``.
        is_day = len(str(self.initial_data["from"])) == len("YYYY-MM-DD")
        if attrs["from"] + timedelta(microseconds=is_day) > attrs["to"]:
            raise ValidationError({"from": ["not after to"], "to": ["not before from"]})
        return attrs
