"""Whether this location lives, and whether it can serve."""

from __future__ import annotations

import structlog
from django.db import DatabaseError
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from consumers import ship_status
from events import status

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
    """Answer 200 when requests can be served, 503 with the parts that fail.

    What is ``degraded`` takes only its own feature along: pages and API go on.
    """
    try:
        degraded = [*status.degraded(), *ship_status.degraded()]
    except DatabaseError:
        log.warning(NOT_READY, failing=["database"])
        return JsonResponse({"status": "unavailable", "failing": ["database"]}, status=503)
    word = "degraded" if degraded else "ready"
    return JsonResponse({"status": word, "failing": [], "degraded": degraded})
