"""The description of the API, and two pages to read it and try it out; for members only."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from csp.constants import SELF, UNSAFE_INLINE
from csp.decorators import csp_update
from django.contrib.staticfiles import finders
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe
from drf_spectacular.views import (
    SpectacularAPIView,
    SpectacularRedocView,
    SpectacularSwaggerSplitView,
)

from accounts.roles import AGENT, PROVIDER, HasRole, require_role

# Both draw with style elements they make themselves; scripts stay those of this location. Redoc
# searches in a worker that it makes from a blob.
_DRAWING = {"style-src": [SELF, UNSAFE_INLINE], "worker-src": [SELF, "blob:"]}
# Redoc fetches its maker's logo and has no setting against it; an empty image it leaves out.
_LOGO = b"https://cdn.redoc.ly/redoc/logo-mini.svg"
_EMPTY = b"data:,"


class SchemaView(SpectacularAPIView):
    """The OpenAPI description."""

    permission_classes = (HasRole(AGENT, PROVIDER),)


@method_decorator(csp_update(_DRAWING), name="dispatch")
@method_decorator(require_role(AGENT, PROVIDER), name="dispatch")
class SwaggerView(SpectacularSwaggerSplitView):
    """Swagger UI: try it out."""

    url_name = "api-schema"
    permission_classes = (HasRole(AGENT, PROVIDER),)


@method_decorator(csp_update(_DRAWING), name="dispatch")
@method_decorator(require_role(AGENT, PROVIDER), name="dispatch")
class RedocView(SpectacularRedocView):
    """Redoc: read it."""

    url_name = "api-schema"
    permission_classes = (HasRole(AGENT, PROVIDER),)
    template_name = "cockpit/api_reference.html"  # the package's own fetches fonts from elsewhere


@require_safe
@require_role(AGENT, PROVIDER)
@cache_control(private=True, max_age=3600)
def redoc_script(request: HttpRequest) -> HttpResponse:
    """Return Redoc's own script, which then asks nobody else for anything."""
    return HttpResponse(_redoc_script(), content_type="text/javascript")


@cache
def _redoc_script() -> bytes:
    path = finders.find("drf_spectacular_sidecar/redoc/bundles/redoc.standalone.js")
    assert isinstance(path, str)  # tests open the page
    return Path(path).read_bytes().replace(_LOGO, _EMPTY)
