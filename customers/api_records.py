"""What the addresses of one record share: finding it, closed ones, conditions, entering."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID, uuid5

from rest_framework.exceptions import APIException, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from accounts.authors import author_of, member_of
from accounts.roles import PROVIDER
from customers import commands, queries
from customers.api_input import basis_of, settled, uid_of_text, when_of
from customers.queries import Customer
from customers.serializers import NO_VALUE
from events.errors import InvalidValue

_KEY = re.compile(r"[\x21-\x7e]{1,255}")

Represent = Callable[[Customer], dict[str, Any]]


class Closed(APIException):
    """A closed record has no current row: to who may not open it again it is not there."""

    status_code = 404
    default_detail = "This record is closed. A provider can open it again."
    problem_name = "closed"


class ClosedToWriting(APIException):
    """Who may open a record again has to do so before changing it."""

    status_code = 409
    default_detail = "This record is closed. Open it again before changing it."
    problem_name = "closed"


class NotThen(APIException):
    """There was no such record at the moment asked for, or it was closed."""

    status_code = 404
    default_detail = "There was no such record then, or it was closed."
    problem_name = "not-then"


def path_uid(text: str) -> UUID:
    """Return the uid in an address; ``ValidationError`` if it is none."""
    return uid_of_text(text, "entity_uid")


def record_response(
    request: Request, uid: UUID, asked: Mapping[str, Any], represent: Represent
) -> Response:
    """Return a record now, with its ETag, or as it was; ``Closed`` for who may not see it."""
    if not asked:
        customer = queries.get(uid)
        if customer.is_deleted and not _may_restore(request):
            raise Closed
        return now_response(customer, represent)
    instant = asked.get("as_of")
    at = None if instant is None else settled(instant)
    then = queries.customer_as_of(uid, at, asked.get("known_at"))
    if then is None:
        raise NotThen
    return Response(represent(then))


def now_response(customer: Customer, represent: Represent, status: int = 200) -> Response:
    """Return a record as it stands, with the ETag of all its stamps."""
    return Response(represent(customer), status=status, headers={"ETag": f'"{customer.etag}"'})


def create(
    request: Request, values: Mapping[str, Any], body: Mapping[str, Any]
) -> tuple[UUID, bool]:
    """Enter a record; return its uid, and whether it is new."""
    try:
        return commands.create_customer(
            values,
            author_of(request),
            entity_uid=uid_for_new(request, body),
            entity_type=body.get("entity_type", "PERSON"),
            display_name=body.get("display_name"),
            when=when_of(body),
        )
    except InvalidValue as exc:
        if exc.field != "values":
            raise
        # About the body as a whole: in this one, nothing is called "values".
        raise ValidationError({"body": [NO_VALUE]}) from exc


def created_response(
    request: Request, created: tuple[UUID, bool], represent: Represent, route: str
) -> Response:
    """Return 201 and where the new record is, or 200 for one that was entered before."""
    uid, is_new = created
    response = now_response(queries.get(uid), represent, 201 if is_new else 200)
    response["Location"] = reverse(route, args=[uid], request=request)
    return response


def uid_for_new(request: Request, body: Mapping[str, Any]) -> UUID | None:
    """Return the uid of a new record: its own, or one that its idempotency key leads to.

    No table of keys: who sends the same key again, anywhere in the network, means the same record.
    """
    key = request.headers.get("Idempotency-Key")
    if key is not None and not _KEY.fullmatch(key):
        raise ValidationError({"Idempotency-Key": ["1 to 255 ASCII letters without blanks"]})
    given: UUID | None = body.get("entity_uid")
    member = member_of(request)
    if given is not None or key is None or member is None:
        return given
    return uuid5(member.uid, f"idempotency:{key}")


def change(
    request: Request, uid: UUID, values: Mapping[str, Any], body: Mapping[str, Any]
) -> Customer:
    """Change a record and return it as it stands then."""
    if body.get("entity_uid", uid) != uid:
        raise ValidationError({"entity_uid": ["the uid in the address, or none"]})
    if not values and "display_name" not in body and "entity_type" not in body:
        raise ValidationError({"body": [NO_VALUE]})
    customer = queries.get(uid)
    if customer.is_deleted:
        raise ClosedToWriting if _may_restore(request) else Closed
    commands.change_customer(
        uid,
        values,
        author_of(request),
        entity_type=body.get("entity_type"),
        display_name=body.get("display_name"),
        basis=basis_of(request, customer.etag),
        when=when_of(body),
    )
    return queries.get(uid)


def _may_restore(request: Request) -> bool:
    member = member_of(request)
    return member is not None and member.has_role(PROVIDER)
