"""Whether this location lives, and whether it can serve."""

from __future__ import annotations

import structlog
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

log = structlog.get_logger("sins.health")

NOT_READY = "not_ready"


@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """Answer 200 as long as the process does; asks nobody."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Answer 200 when requests can be served, 503 with the parts that fail."""
    failing = [] if _database_answers() else ["database"]
    if failing:
        log.warning(NOT_READY, failing=failing)
    status = "unavailable" if failing else "ready"
    return JsonResponse({"status": status, "failing": failing}, status=503 if failing else 200)


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    return True
