"""The description of the API, and two pages to read it and try it out; for members only."""

from __future__ import annotations

from csp.constants import SELF, UNSAFE_INLINE
from csp.decorators import csp_update
from django.utils.decorators import method_decorator
from drf_spectacular.views import (
    SpectacularAPIView,
    SpectacularRedocView,
    SpectacularSwaggerSplitView,
)

from accounts.roles import AGENT, PROVIDER, HasRole, require_role

# Both draw with style elements they make themselves; scripts stay those of this location. Redoc
# searches in a worker that it makes from a blob.
_DRAWING = {"style-src": [SELF, UNSAFE_INLINE], "worker-src": [SELF, "blob:"]}


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
