"""The location's settings, plus the libraries it is measured against."""

from __future__ import annotations

from sins.settings import *  # noqa: F403
from sins.settings import INSTALLED_APPS, MIDDLEWARE

INSTALLED_APPS += ["pgtrigger", "pghistory", "simple_history", "ops.bench.rivals"]
MIDDLEWARE = [*MIDDLEWARE]
