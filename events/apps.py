"""The Django application of the event log."""

from __future__ import annotations

from django.apps import AppConfig


class EventsConfig(AppConfig):
    """Events, their streams and the rows made of them."""

    name = "events"
    default_auto_field = "django.db.models.BigAutoField"
