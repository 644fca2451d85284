"""``manage.py run_sequencer``: number this location's events and send them."""

from __future__ import annotations

import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from events import dead_letter_relay
from events.dead_letter_relay import DeadLetterRelay
from events.errors import EndedKey
from events.home import refuse_copy
from events.locations import refuse_ended_key
from events.loops import Loop, stop_on_signals
from events.relay import IDLE_SECONDS, Relay
from events.sequencer import Sequencer
from events.streams import own_key


class Command(BaseCommand):
    help = "Number the events of this location, and send them to Kafka where there is one."

    def handle(self, *args: Any, **options: Any) -> None:
        stop, numbered = stop_on_signals(), threading.Event()
        refuse_copy(stop)
        try:
            refuse_ended_key(own_key())
        except EndedKey as exc:
            raise CommandError(str(exc), returncode=2) from exc
        threads = []
        if settings.KAFKA_BOOTSTRAP:
            relay = Relay(settings.LOCATION_ID, settings.KAFKA_BOOTSTRAP, stop)
            loop = Loop("relay", relay.step, lambda: IDLE_SECONDS, stop, numbered, relay.close)
            threads.append(loop.thread())
            letters = DeadLetterRelay(settings.LOCATION_ID, settings.KAFKA_BOOTSTRAP, stop)
            idle = dead_letter_relay.IDLE_SECONDS
            loop = Loop("dead letters", letters.step, lambda: idle, stop, recover=letters.close)
            threads.append(loop.thread())
        sequencer = Sequencer(settings.LOCATION_ID, own_key(), numbered)
        Loop("sequencer", sequencer.step, sequencer.pause, stop, recover=sequencer.close).run()
        sequencer.close()
        numbered.set()
        for thread in threads:
            thread.join(5)
