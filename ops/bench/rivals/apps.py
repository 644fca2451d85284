"""The Django application of the rivals."""

from __future__ import annotations

from django.apps import AppConfig


class RivalsConfig(AppConfig):
    """Tables that the benchmark makes itself."""

    name = "ops.bench.rivals"
    label = "rivals"
    default_auto_field = "django.db.models.BigAutoField"
