"""``manage.py rebuild``: fold everything again from the log, say what differed, make it right."""

from __future__ import annotations

import json
import sys
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError, CommandParser

from events import contacts, digest
from events.console import Meter, OperatorCommand
from events.rebuilding import Selection, Tally, expected, rebuild_all

MOST_UIDS = 20  # are named, unless asked as JSON


class Command(OperatorCommand):
    help = (
        "Fold records again from their events, compare with every row that stands, say what "
        "differed, and make the rows right. May be ended and begun again at any time. Ends with 0 "
        "when nothing differed, 1 when something did or is parked."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--entity", nargs="+", action="extend", type=UUID, metavar="UID",
            help="only these records",
        )  # fmt: skip
        parser.add_argument(
            "--parked", action="store_true",
            help="only parked records; those that fold now are parked no longer",
        )  # fmt: skip
        parser.add_argument("--dry-run", action="store_true", help="report, but write nothing")
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        is_dry_run = options["dry_run"]
        selection = Selection(uids=options["entity"], is_parked_only=options["parked"])
        meter = Meter(self.stderr, expected(selection), "records")
        tally = rebuild_all(selection, is_dry_run=is_dry_run, tell=meter.show)
        meter.clear()
        if selection.uids is not None and not tally.entities:
            raise CommandError("There is no such record here.", returncode=2)
        found = tally.found
        if found.rows and not is_dry_run:
            contacts.note_digest(digest.take())  # peers compare with what stands now
        if options["json"]:
            self.stdout.write(json.dumps(_document(tally, is_dry_run)))
        else:
            self._say(tally, is_dry_run)
        if found.rows or found.parked:
            sys.exit(1)

    def _say(self, tally: Tally, is_dry_run: bool) -> None:
        found, done = tally.found, "differ" if is_dry_run else "differed and were made right"
        self.stdout.write(f"{tally.entities} records folded, {len(found.uids)} {done}.")
        for table, count in sorted(found.rows.items()):
            self.stdout.write(f"  {table}: {count}")
        for uid in sorted(found.uids)[:MOST_UIDS]:
            self.stdout.write(f"  {uid}")
        if len(found.uids) > MOST_UIDS:
            self.stdout.write(f"  and {len(found.uids) - MOST_UIDS} more; --json names them all")
        if found.unparked:
            verb = "would be" if is_dry_run else "are"
            self.stdout.write(f"{len(found.unparked)} {verb} parked no longer.")
        if found.parked:
            self.stdout.write(f"{len(found.parked)} are parked: they cannot be folded here.")


def _document(tally: Tally, is_dry_run: bool) -> dict[str, Any]:
    found = tally.found
    return {
        "dry_run": is_dry_run,
        "entities": tally.entities,
        "differing": dict(sorted(found.rows.items())),
        "entity_uids": sorted(map(str, found.uids)),
        "unparked": sorted(map(str, found.unparked)),
        "parked": sorted(map(str, found.parked)),
    }
