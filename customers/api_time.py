"""What was: the history of a record, everything at a moment, and what changed in between."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from customers import differences, listings, queries
from customers.api_input import ApiView, Asked, settled
from customers.api_pages import bounds, page_response
from customers.api_records import path_uid
from customers.api_schema import (
    EntityAsOfShown,
    EntityChangesShown,
    HistoryLineShown,
    answers,
    paged,
    problems,
    uid_parameter,
)
from customers.representations import change, history_line
from customers.serializers import AsOfAsked, DiffAsked


class HistoryView(ApiView):
    """All versions of one record."""

    @extend_schema(
        operation_id="entities_history",
        parameters=[uid_parameter()],
        responses=answers(200, HistoryLineShown(many=True)) | problems(404),
    )
    def get(self, request: Request, entity_uid: str) -> Response:
        """Return all versions, oldest first, also of a closed record; equal at every location."""
        return Response([history_line(line) for line in queries.history(path_uid(entity_uid))])


class AsOfView(ApiView):
    """All entities as they were."""

    questions: ClassVar[Mapping[str, type[Asked]]] = {"GET": AsOfAsked}

    @extend_schema(
        operation_id="entities_as_of",
        parameters=[AsOfAsked],
        responses=answers(200, paged(EntityAsOfShown)) | problems(),
    )
    def get(self, request: Request) -> Response:
        """List the entities that there were at a moment, by uid; a day means its end."""
        instant = settled(self.asked["as_of"])
        count, shown = listings.page_as_of(instant, *bounds(self.asked))
        return page_response(request, self.asked, count, shown)


class DiffView(ApiView):
    """What changed in a period."""

    questions: ClassVar[Mapping[str, type[Asked]]] = {"GET": DiffAsked}

    @extend_schema(
        operation_id="diff",
        parameters=[DiffAsked],
        responses=answers(200, paged(EntityChangesShown)) | problems(),
    )
    def get(self, request: Request) -> Response:
        """Compare two moments, by entity and field; days are whole: from 00:00 to 24:00."""
        start, end = settled(self.asked["from"]), settled(self.asked["to"])
        changes = differences.diff(start, end, self.asked.get("entity_uid"))
        found = [
            {"entity_uid": str(uid), "changes": [change(one) for one in together]}
            for uid, together in groupby(changes, key=lambda one: one.entity_uid)
        ]
        offset, limit = bounds(self.asked)
        return page_response(request, self.asked, len(found), found[offset : offset + limit])
