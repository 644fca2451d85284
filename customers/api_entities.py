"""``/api/v1/entities``: the model as it is, an entity and its list of details."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from customers import api_records, listings
from customers.api_input import ApiView, Asked, checked_body
from customers.api_pages import bounds, page_response
from customers.api_schema import (
    IDEMPOTENCY_KEY,
    IF_MATCH,
    WRITE_PROBLEMS,
    EntityShown,
    answers,
    etag_headers,
    paged,
    problems,
    uid_parameter,
)
from customers.listings import Filter
from customers.representations import detailed
from customers.serializers import EntitiesAsked, EntityChange, RecordAsked


class EntitiesView(ApiView):
    """All present entities, and a new one."""

    questions: ClassVar[Mapping[str, type[Asked]]] = {"GET": EntitiesAsked}

    @extend_schema(
        operation_id="entities_list",
        parameters=[EntitiesAsked],
        responses=answers(200, paged(EntityShown)) | problems(),
    )
    def get(self, request: Request) -> Response:
        """List entities by name."""
        asked = self.asked
        narrowed = Filter(asked.get("q"), asked.get("type"), asked.get("detail_code"))
        count, entities = listings.page(narrowed, *bounds(asked))
        return page_response(request, asked, count, [detailed(entity) for entity in entities])

    @extend_schema(
        operation_id="entities_create",
        request=EntityChange,
        parameters=[IDEMPOTENCY_KEY, *etag_headers(200, 201)],
        responses=answers(201, EntityShown)
        | answers(200, EntityShown, "The very same was entered before; nothing is recorded.")
        | problems(*WRITE_PROBLEMS),
    )
    def post(self, request: Request) -> Response:
        """Enter an entity with its details."""
        body = checked_body(request, EntityChange)
        created = api_records.create(request, values_of(body), body)
        return api_records.created_response(request, created, detailed, "api-entity")


class EntityView(ApiView):
    """One entity."""

    questions: ClassVar[Mapping[str, type[Asked]]] = {"GET": RecordAsked}

    @extend_schema(
        operation_id="entities_retrieve",
        parameters=[uid_parameter(), RecordAsked, *etag_headers(200)],
        responses=answers(200, EntityShown) | problems(404, 409),
    )
    def get(self, request: Request, entity_uid: str) -> Response:
        """Return an entity, now or as it was. A closed one is shown to providers only."""
        uid = api_records.path_uid(entity_uid)
        return api_records.record_response(request, uid, self.asked, detailed)

    @extend_schema(
        operation_id="entities_update",
        request=EntityChange,
        parameters=[uid_parameter(), IF_MATCH, *etag_headers(200)],
        responses=answers(200, EntityShown) | problems(404, 412, *WRITE_PROBLEMS),
    )
    def patch(self, request: Request, entity_uid: str) -> Response:
        """Change the name or the details that are given; a null value removes a detail."""
        uid = api_records.path_uid(entity_uid)
        body = checked_body(request, EntityChange)
        customer = api_records.change(request, uid, values_of(body), body)
        return api_records.now_response(customer, detailed)


def values_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the details of a body, by code."""
    details = body.get("details", ())
    return {detail["detail_code"]: detail["value"]["value"] for detail in details}
