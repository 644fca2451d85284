"""``/api/v1/conflicts``: what cut-off locations changed apart, and how it is settled."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.authors import author_of
from accounts.roles import PROVIDER, HasRole
from customers.api_input import ApiView, Asked, Paged, Strict, Uid, basis_of, checked_body
from customers.api_pages import bounds, page_response
from customers.api_schema import (
    IF_MATCH,
    WRITE_PROBLEMS,
    Instant,
    Problem,
    answers,
    etag_headers,
    paged,
    problems,
)
from customers.commands import Basis
from customers.kinds import ENTITY
from customers.representations import conflict
from customers.resolving import CHOICES, ENTER, Choice, Outcome, settle
from customers.serializers import Unchecked
from events import items, sql
from events.errors import UnknownItem
from events.heads import etag
from events.items import OPEN, STATES, Filter, Item
from events.recorder import MAX_EVENTS

ITEM_ID = r"[0-9a-f]{64}"
_EXPECTED = "an id of the list: 64 hexadecimal digits"
_ITEM = OpenApiParameter("item_id", OpenApiTypes.STR, OpenApiParameter.PATH, pattern=f"^{ITEM_ID}$")
_MULTI_STATUS = "Some were settled, some were not: each says so with a status of its own."


class ConflictsAsked(Paged):
    """The filters of the inbox."""

    state = serializers.ChoiceField(
        required=False,
        choices=STATES,
        error_messages={"invalid_choice": f"one of {', '.join(STATES)}"},
        help_text="Those that wait for somebody, or those that are settled; open unless said.",
    )
    entity_uid = Uid(required=False, help_text="Only those of this record.")


class ChoiceMade(Strict):
    """What shall become of one conflict."""

    item_id = serializers.RegexField(f"^{ITEM_ID}$", error_messages={"invalid": _EXPECTED})
    choice = serializers.ChoiceField(
        choices=CHOICES,
        error_messages={"invalid_choice": f"one of {', '.join(CHOICES)}"},
        help_text="keep: what the record shows stays. swap: the other value; a closed record comes"
        " back. enter: the value given.",
    )
    value = Unchecked(required=False, allow_null=True, help_text="With enter; null removes it.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a value where none is asked for, and none where one is."""
        if (attrs["choice"] == ENTER) != ("value" in attrs):
            raise ValidationError({"value": ["with enter, and only with it"]})
        return attrs


class ConflictsResolve(Strict):
    """Choices; those about one record are stored together or not at all."""

    items = serializers.ListField(child=ChoiceMade(), min_length=1, max_length=MAX_EVENTS)

    def validate_items(self, value: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Refuse a conflict that is named twice."""
        if len({choice["item_id"] for choice in value}) < len(value):
            raise ValidationError("each conflict once")
        return value


class SaidShown(serializers.Serializer[Any]):
    """An event: which one, when, where and by whom."""

    event_id = serializers.UUIDField()
    at = Instant()
    origin = serializers.CharField()
    actor = serializers.UUIDField(allow_null=True)


class SideShown(SaidShown):
    """What one event says; the value is null where there is none or it cannot be read here."""

    group = serializers.CharField()
    value = serializers.JSONField()
    is_readable = serializers.BooleanField()
    is_kept = serializers.BooleanField(help_text="Whether the record shows this value now.")


class ResolutionShown(SaidShown):
    """How a conflict was settled."""

    choice = serializers.ChoiceField(choices=CHOICES)


class ConflictShown(serializers.Serializer[Any]):
    """A conflict: both values, the earlier one first; or what closed a record, then all edits."""

    item_id = serializers.CharField()
    entity_uid = serializers.UUIDField()
    display_name = serializers.CharField(allow_blank=True)
    state = serializers.ChoiceField(choices=STATES)
    is_closing = serializers.BooleanField()
    is_parked = serializers.BooleanField()
    group = serializers.CharField()
    current = serializers.JSONField()
    sides = SideShown(many=True)
    resolution = ResolutionShown(allow_null=True)


class OutcomeShown(serializers.Serializer[Any]):
    """What came of one choice; ``problem`` says why it settled nothing."""

    item_id = serializers.CharField()
    entity_uid = serializers.UUIDField(allow_null=True)
    status = serializers.IntegerField()
    problem = Problem(allow_null=True)


class OutcomesShown(serializers.Serializer[Any]):
    """What came of each choice, in their order."""

    results = OutcomeShown(many=True)


class ConflictsView(ApiView):
    """The inbox."""

    questions: ClassVar[Mapping[str, type[Asked]]] = {"GET": ConflictsAsked}

    @extend_schema(
        operation_id="conflicts_list",
        parameters=[ConflictsAsked],
        responses=answers(200, paged(ConflictShown)) | problems(),
    )
    def get(self, request: Request) -> Response:
        """List conflicts, those with the newest event first; the same at every location."""
        wanted = Filter(self.asked.get("state", OPEN), self.asked.get("entity_uid"), ENTITY)
        with sql.snapshot():
            count, found = items.count(wanted), items.page(wanted, *bounds(self.asked))
        return page_response(request, self.asked, count, [conflict(item) for item in found])


class ConflictView(ApiView):
    """One conflict."""

    @extend_schema(
        operation_id="conflicts_retrieve",
        parameters=[_ITEM, *etag_headers(200)],
        responses=answers(200, ConflictShown) | problems(404),
    )
    def get(self, request: Request, item_id: str) -> Response:
        """Return a conflict, settled or not, with the ETag of its record."""
        if not re.fullmatch(ITEM_ID, item_id):
            raise ValidationError({"item_id": [_EXPECTED]})
        item = _found(item_id)
        if item is None:
            raise UnknownItem
        tag = etag(item.head.memo.stamps)
        return Response(conflict(item), headers={"ETag": f'"{tag}"'})


class ResolveView(ApiView):
    """Settles conflicts."""

    permission_classes = (HasRole(PROVIDER),)

    @extend_schema(
        operation_id="conflicts_resolve",
        request=ConflictsResolve,
        parameters=[IF_MATCH],
        responses=answers(200, OutcomesShown, "All are settled.")
        | answers(207, OutcomesShown, _MULTI_STATUS)
        | problems(404, 412, *WRITE_PROBLEMS),
        examples=[
            OpenApiExample(
                "bulk",
                {"items": [{"item_id": "5e" * 32, "choice": "keep"},
                           {"item_id": "a0" * 32, "choice": "enter", "value": "+49 30 1"}]},
                request_only=True,
            )
        ],
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        """Settle conflicts. A single one is refused as any write is, several are each told.

        Again, it changes nothing: what is settled is answered with 409. If-Match goes with a
        single conflict.
        """
        body = checked_body(request, ConflictsResolve)
        choices = [Choice(c["item_id"], c["choice"], c.get("value")) for c in body["items"]]
        outcomes = settle(choices, author_of(request), _bases(request, choices))
        if len(outcomes) == 1 and outcomes[0].error:
            raise outcomes[0].error
        shown = [self._shown(outcome) for outcome in outcomes]
        code = 207 if any(outcome.error for outcome in outcomes) else 200
        return Response({"results": shown}, status=code)

    def _shown(self, outcome: Outcome) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "item_id": outcome.item_id,
            "entity_uid": None if outcome.entity_uid is None else str(outcome.entity_uid),
            "status": 200,
            "problem": None,
        }
        if outcome.error is None:
            return shown
        # As it would be answered alone.
        refusal = self.get_exception_handler()(outcome.error, self.get_exception_handler_context())
        assert refusal is not None  # every error of the core is a problem
        return {**shown, "status": refusal.status_code, "problem": refusal.data}


def _bases(request: Request, choices: list[Choice]) -> dict[UUID, Basis]:
    """Return what the caller had seen of the record, by If-Match."""
    if "If-Match" not in request.headers:
        return {}
    if len(choices) > 1:
        raise ValidationError({"If-Match": ["with a single conflict only"]})
    item = _found(choices[0].item_id)
    if item is None:
        return {}
    return {item.outline.entity_uid: basis_of(request, etag(item.head.memo.stamps))}


def _found(item_id: str) -> Item | None:
    with sql.snapshot():
        return next(iter(items.page(Filter(kind=ENTITY, item_ids=[item_id]))), None)
