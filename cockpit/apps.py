"""App config of the cockpit."""

from __future__ import annotations

from django.apps import AppConfig


class CockpitConfig(AppConfig):
    """Base templates, static files, audit and sync pages."""

    name = "cockpit"
