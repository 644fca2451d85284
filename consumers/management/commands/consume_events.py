"""``manage.py consume_events``: bring other locations' events here."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from consumers.runner import Consumer
from events.errors import EndedKey
from events.home import refuse_copy
from events.locations import refuse_ended_key
from events.loops import leave_the_pool, stop_on_signals
from events.streams import own_key


class Command(BaseCommand):
    help = "Apply other locations' events, from Kafka or pulled, and send heartbeats."

    def handle(self, *args: Any, **options: Any) -> None:
        stop = stop_on_signals()
        leave_the_pool()
        refuse_copy(stop)
        try:
            refuse_ended_key(own_key())
        except EndedKey as exc:
            raise CommandError(str(exc), returncode=2) from exc
        Consumer(stop).run()
