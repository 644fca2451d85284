"""A page of a list: how many there are, and where the next and the previous one is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param, replace_query_param

from customers.api_input import DEFAULT_LIMIT


def bounds(asked: Mapping[str, Any]) -> tuple[int, int]:
    """Return offset and limit of the page that is asked for."""
    return asked.get("offset", 0), asked.get("limit", DEFAULT_LIMIT)


def page_response(
    request: Request, asked: Mapping[str, Any], count: int, results: Sequence[Mapping[str, Any]]
) -> Response:
    """Return ``{"count", "next", "previous", "results"}``."""
    offset, limit = bounds(asked)
    after = offset + limit if offset + limit < count else None
    previous = max(0, offset - limit) if offset > 0 else None
    return Response(
        {
            "count": count,
            "next": _address(request, after, limit),
            "previous": _address(request, previous, limit),
            "results": results,
        }
    )


def _address(request: Request, offset: int | None, limit: int) -> str | None:
    if offset is None:
        return None
    address = replace_query_param(request.build_absolute_uri(), "limit", str(limit))
    if offset == 0:
        return str(remove_query_param(address, "offset"))
    return str(replace_query_param(address, "offset", str(offset)))
