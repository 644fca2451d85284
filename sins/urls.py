"""Which address leads where; each app names its own below this."""

from __future__ import annotations

from importlib.util import find_spec

from django.conf import settings
from django.urls import URLPattern, URLResolver, include, path

from sins.health import healthz, readyz

# (prefix, module): a module without pages or without an API has no such file.
_ROUTES = [
    ("", "accounts.urls"),
    ("api/v1/", "accounts.api_urls"),
    *((prefix, f"{name}.{file}") for name in settings.ENABLED_MODULES
      for prefix, file in (("", "page_urls"), ("api/v1/", "api_urls"), ("api/", "legacy_urls"))),
    ("sync/", "consumers.urls"),
    ("", "cockpit.urls"),
    ("", "sins.api_urls"),
]  # fmt: skip


def _exists(module: str) -> bool:
    app = module.partition(".")[0]
    return app in {"sins", *settings.INSTALLED_APPS} and find_spec(module) is not None


handler400 = "sins.problems.bad_request"
handler403 = "sins.problems.forbidden"
handler404 = "sins.problems.not_found"
handler500 = "sins.problems.server_error"
urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    *(path(prefix, include(module)) for prefix, module in _ROUTES if _exists(module)),
]
