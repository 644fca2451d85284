"""The Django application of the event log."""

from __future__ import annotations

from django.apps import AppConfig


class EventsConfig(AppConfig):
    """Events, their streams and the rows made of them."""

    name = "events"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the one kind of the core itself."""
        from events.locations import LOCATION  # models are loaded by now
        from events.registry import register

        register(LOCATION)
