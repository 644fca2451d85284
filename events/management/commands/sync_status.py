"""``manage.py sync_status [--json]``: how this location stands to its peers."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from events.status import sync_status


class Command(BaseCommand):
    help = "Show numbers, lag and digest of this location and its peers."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="as one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        status = sync_status(is_fresh=True)
        if options["json"]:
            self.stdout.write(json.dumps(status))
            return
        oldest = status["oldest_unreplicated_seconds"]
        age = f", the oldest {oldest} s old" if oldest is not None else ""
        self.stdout.write(f"{status['location']}  {status['seq']} events  {status['digest']}")
        self.stdout.write(f"  only here: {status['unreplicated']} events{age}")
        for name in ("conflicts", "parked", "dead_letters"):
            self.stdout.write(f"  {name.replace('_', ' ')}: {status[name]}")
        for peer in status["peers"]:
            contact = "reachable" if peer["reachable"] else "not reachable"
            self.stdout.write(
                f"  {peer['location']}  {contact}, {peer['state']}:"
                f" {peer['applied_seq']} of {peer['their_seq']} applied,"
                f" {peer['acknowledged_seq']} of ours acknowledged"
            )
