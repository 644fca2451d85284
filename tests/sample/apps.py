from __future__ import annotations

from django.apps import AppConfig


class SampleConfig(AppConfig):
    name = "tests.sample"
    label = "sample"

    def ready(self) -> None:
        from events.registry import register
        from tests.sample.models import OFFER

        register(OFFER)
