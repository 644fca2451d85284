"""Who writes, from where and when: the one place where pages and API make an author."""

from __future__ import annotations

import time
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest

from accounts.models import Member
from events.drafting import Author


def now_us() -> int:
    """Return the present instant in µs since 1970."""
    return time.time_ns() // 1000


def member_of(request: HttpRequest) -> Member | None:
    """Return the signed-in member, ``None`` for anyone else."""
    return request.user if isinstance(request.user, Member) else None


def uid_of(request: HttpRequest) -> UUID | None:
    """Return the uid of the signed-in member, ``None`` for anyone else."""
    member = member_of(request)
    return member.uid if member else None


def request_id_of(request: HttpRequest) -> str:
    """Return the id the middleware gave this request; a request beside it has none."""
    return str(getattr(request, "request_id", ""))


def author_of(request: HttpRequest) -> Author:
    """Return the author of what this request records: member, location, instant, request."""
    return Author(
        actor=uid_of(request),
        origin=settings.LOCATION_ID,
        now=now_us(),
        request_id=request_id_of(request),
    )
