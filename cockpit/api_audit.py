"""``/api/v1/audit``: who changed what, when and where; read from the events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from accounts.roles import PROVIDER, HasRole
from customers.api_input import DEFAULT_LIMIT, MAX_LIMIT, ApiView, Asked, Moment, Uid, Whole
from customers.api_schema import AuditLineShown, answers, paged, problems
from customers.representations import moment
from events import audit
from events.audit import Filter, Line


class AuditAsked(Asked):
    """The filters of the audit log."""

    entity = Uid(required=False, help_text="The record's uid.")
    actor = Uid(required=False, help_text="The member's uid.")
    origin = serializers.CharField(required=False, max_length=64, help_text="The location.")
    operation = serializers.ChoiceField(
        required=False,
        choices=audit.OPERATIONS,
        error_messages={"invalid_choice": f"one of {', '.join(audit.OPERATIONS)}"},
    )
    limit = Whole(required=False, min_value=1, max_value=MAX_LIMIT)
    after = serializers.RegexField(
        f"^{audit.PLACE}$",
        required=False,
        error_messages={"invalid": "what stood in the address of the next page"},
        help_text="Where the last page ended; it stands in `next`.",
    )

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Return the fields; ``from`` is no name in Python."""
        period = {"from": Moment(starts=True, required=False), "to": Moment(required=False)}
        return {**super().get_fields(), **period}

    def validate_after(self, value: str) -> audit.Place:
        """Return the place."""
        return audit.place_of(value)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a period that ends before it begins."""
        if "from" in attrs and "to" in attrs and attrs["from"] >= attrs["to"]:
            raise ValidationError({"from": ["before to"], "to": ["after from"]})
        return attrs


class AuditView(ApiView):
    """The audit log."""

    permission_classes = (HasRole(PROVIDER),)
    questions: ClassVar[Mapping[str, type[Asked]]] = {"GET": AuditAsked}

    @extend_schema(
        operation_id="audit_list",
        parameters=[AuditAsked],
        responses=answers(200, paged(AuditLineShown, counted=False)) | problems(),
    )
    def get(self, request: Request) -> Response:
        """List changes, newest first. A page may be short, and still have a next one."""
        asked = self.asked
        wanted = Filter(
            entity_uid=asked.get("entity"),
            actor=asked.get("actor"),
            origin=asked.get("origin"),
            start=asked.get("from"),
            end=asked.get("to"),
            operation=asked.get("operation"),
        )
        lines, place = audit.page(wanted, asked.get("limit", DEFAULT_LIMIT), asked.get("after"))
        here = request.build_absolute_uri()
        following = None if place is None else replace_query_param(here, "after", place.to_text())
        return Response(
            {"next": following, "previous": None, "results": [_line(line) for line in lines]}
        )


def _line(line: Line) -> dict[str, Any]:
    return {
        "at": moment(line.at),
        "actor": None if line.actor is None else str(line.actor),
        "origin": line.origin,
        "operation": line.operation,
        "entity_uid": str(line.entity_uid),
        "detail_code": line.detail_code,
        "group": line.group,
        "before": line.before,
        "after": line.after,
        "effective": moment(line.effective),
        "reason": line.reason,
        "event_id": str(line.event_id),
        "event_type": line.event_type,
        "request_id": line.request_id,
    }
