"""``manage.py consume_events``: bring other locations' events here."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from consumers.runner import Consumer
from events.home import refuse_copy
from events.loops import stop_on_signals


class Command(BaseCommand):
    help = "Apply other locations' events, from Kafka or pulled, and send heartbeats."

    def handle(self, *args: Any, **options: Any) -> None:
        stop = stop_on_signals()
        refuse_copy(stop)
        Consumer(stop).run()
