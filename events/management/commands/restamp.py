"""``manage.py restamp``: bring records back that a wrong clock stamped in the far future."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.core.management.base import CommandParser

from events.console import Meter, OperatorCommand
from events.drafting import Author
from events.errors import SinsError
from events.restamping import ahead, restamp


class Command(OperatorCommand):
    help = (
        "Find records whose last change is stamped more than an hour ahead of this clock, withdraw "
        "those changes and enter the same values under a right stamp, at all locations. Set the "
        "wrong clock first. Ends with 0 when there is none left, 1 when there is."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="report, but write nothing")
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        now = time.time_ns() // 1000
        found = list(ahead(now))
        meter = Meter(self.stderr, len(found), "records")
        left = {}
        for done, uid in enumerate(found, start=1):
            try:
                if not options["dry_run"]:
                    restamp(uid, Author(None, settings.LOCATION_ID, now, f"restamp-{uuid4()}"))
            except SinsError as exc:
                left[str(uid)] = type(exc).__name__
            meter.show(done)
        meter.clear()
        if options["json"]:
            said = {"entity_uids": list(map(str, found)), "left": left}
            self.stdout.write(json.dumps({"dry_run": options["dry_run"], **said}))
        else:
            self._say(len(found), left, options["dry_run"])
        if left or (found and options["dry_run"]):
            sys.exit(1)

    def _say(self, found: int, left: Mapping[str, str], is_dry_run: bool) -> None:
        self.stdout.write(f"{found} records are stamped in the far future.")
        for uid, reason in left.items():
            self.stdout.write(f"  {uid} is left: {reason}")
        if found and not is_dry_run:
            self.stdout.write(f"{found - len(left)} have a right stamp now.")
