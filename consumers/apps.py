"""The Django application that turns arriving events into effects."""

from __future__ import annotations

from django.apps import AppConfig


class ConsumersConfig(AppConfig):
    """Apply, pull, peer routes, heartbeat."""

    name = "consumers"
