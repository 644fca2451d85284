"""``manage.py consume ship``: tell Elasticsearch what happened here."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from consumers import ship, ship_cursors
from consumers.runner import now_us
from events.loops import stop_on_signals


class Command(BaseCommand):
    help = "Turn events that are here into an effect elsewhere; `ship` sends to Elasticsearch."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("effect", choices=["ship"])
        parser.add_argument(
            "--from-start",
            action="store_true",
            help="only put the cursors back: the running process sends everything again",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["from_start"]:
            ship_cursors.rewind()
            return
        ship.run(stop_on_signals(), now_us)
