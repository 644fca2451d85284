"""``/api/v1/customers``: a flat body with the same keys on GET, POST and PATCH."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import access
from accounts.authors import author_of, uid_of
from accounts.roles import PROVIDER, HasRole
from customers import api_records, commands, listings, queries
from customers.api_input import ApiView, Asked, basis_of, checked_body
from customers.api_pages import bounds, page_response
from customers.api_schema import (
    IDEMPOTENCY_KEY,
    IF_MATCH,
    WRITE_PROBLEMS,
    CustomerListed,
    CustomerShown,
    answers,
    etag_headers,
    paged,
    problems,
    uid_parameter,
)
from customers.kinds import DETAIL_TYPES
from customers.representations import flat, hit
from customers.search import search
from customers.serializers import CustomerChange, CustomersAsked, RecordAsked


class CustomersView(ApiView):
    """All present customers, a search among them, and a new one."""

    questions: ClassVar[Mapping[str, type[Asked]]] = {"GET": CustomersAsked}

    @extend_schema(
        operation_id="customers_list",
        parameters=[CustomersAsked],
        responses=answers(200, paged(CustomerListed)) | problems(),
    )
    def get(self, request: Request) -> Response:
        """List customers by name; with `q` the best hits, each with its score and why."""
        q = self.asked.get("q", "").strip()
        if q:
            return self._found(request, q)
        count, customers = listings.page(listings.Filter(), *bounds(self.asked))
        return page_response(request, self.asked, count, [flat(each) for each in customers])

    def _found(self, request: Request, q: str) -> Response:
        limit = self.asked.get("limit", settings.FUZZY_HIT_LIMIT)
        hits = search(q, self.asked.get("mode", "fuzzy"), limit)
        access.log_request(request, access.SEARCH, access.OK, uid_of(request))
        asked = {"limit": limit}
        return page_response(request, asked, len(hits), [hit(each) for each in hits])

    @extend_schema(
        operation_id="customers_create",
        request=CustomerChange,
        parameters=[IDEMPOTENCY_KEY, *etag_headers(200, 201)],
        responses=answers(201, CustomerShown)
        | answers(200, CustomerShown, "The very same was entered before; nothing is recorded.")
        | problems(*WRITE_PROBLEMS),
    )
    def post(self, request: Request) -> Response:
        """Enter a customer; one value is enough."""
        body = checked_body(request, CustomerChange)
        created = api_records.create(request, values_of(body), body)
        return api_records.created_response(request, created, flat, "api-customer")


class CustomerView(ApiView):
    """One customer."""

    questions: ClassVar[Mapping[str, type[Asked]]] = {"GET": RecordAsked}

    @extend_schema(
        operation_id="customers_retrieve",
        parameters=[uid_parameter(), RecordAsked, *etag_headers(200)],
        responses=answers(200, CustomerShown) | problems(404, 409),
    )
    def get(self, request: Request, entity_uid: str) -> Response:
        """Return a customer, now or as it was. A closed one is shown to providers only."""
        uid = api_records.path_uid(entity_uid)
        return api_records.record_response(request, uid, self.asked, flat)

    @extend_schema(
        operation_id="customers_update",
        request=CustomerChange,
        parameters=[uid_parameter(), IF_MATCH, *etag_headers(200)],
        responses=answers(200, CustomerShown) | problems(404, 412, *WRITE_PROBLEMS),
    )
    def patch(self, request: Request, entity_uid: str) -> Response:
        """Change what is given; null or an empty text removes a value."""
        uid = api_records.path_uid(entity_uid)
        body = checked_body(request, CustomerChange)
        customer = api_records.change(request, uid, values_of(body), body)
        return api_records.now_response(customer, flat)

    @extend_schema(
        operation_id="customers_delete",
        parameters=[uid_parameter(), IF_MATCH],
        responses={204: None} | problems(404, 409, 412),
    )
    def delete(self, request: Request, entity_uid: str) -> Response:
        """Close a customer: no version stays open, all history stays. Again: the same answer."""
        uid = api_records.path_uid(entity_uid)
        customer = queries.get(uid)
        basis = basis_of(request, customer.etag)
        if not customer.is_deleted:
            commands.delete_customer(uid, author_of(request), basis=basis)
        return Response(status=204)


class CustomerRestoreView(ApiView):
    """Opens a closed customer again."""

    permission_classes = (HasRole(PROVIDER),)

    @extend_schema(
        operation_id="customers_restore",
        request=None,
        parameters=[uid_parameter(), *etag_headers(200)],
        responses=answers(200, CustomerShown) | problems(404, 409),
    )
    def post(self, request: Request, entity_uid: str) -> Response:
        """Open it again, with what was entered meanwhile; an open one stays as it is."""
        uid = api_records.path_uid(entity_uid)
        queries.get(uid)
        commands.restore_customer(uid, author_of(request))
        return api_records.now_response(queries.get(uid), flat)


def values_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the details of a flat body."""
    return {code: body[code] for code in DETAIL_TYPES if code in body}
