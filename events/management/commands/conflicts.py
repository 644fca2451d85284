"""``manage.py conflicts [--json] [--all]``: what waits for somebody to decide; no values."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error

from events import items
from events.items import OPEN, Filter, Outline, Row
from events.stamp import to_datetime


class Command(BaseCommand):
    help = (
        "List conflicts, the newest first: ids, groups, where and when, nothing personal. "
        "Ends with 0 if none is open, 1 if some are, 2 if that cannot be told."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="as one JSON document")
        parser.add_argument("--all", action="store_true", help="those that are settled, too")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            found = items.outlines(Filter(None if options["all"] else OPEN))
        except Error as exc:
            message = f"The conflicts cannot be read: {type(exc).__name__}."
            raise CommandError(message, returncode=2) from exc
        open_count = sum(outline.state == OPEN for outline in found)
        if options["json"]:
            document = {"open": open_count, "items": [_document(outline) for outline in found]}
            self.stdout.write(json.dumps(document))
        else:
            for outline in found:
                self.stdout.write(_line(outline))
            self.stdout.write(f"{open_count} open")
        if open_count:
            sys.exit(1)


def _line(outline: Outline) -> str:
    groups = ", ".join(sorted({row.group for row in outline.rows}))
    about = f"closed beside {groups}" if outline.closing else groups
    last = max(outline.rows, key=lambda row: row.later_ts)
    said = (last.earlier_origin, last.earlier_ts), (last.later_origin, last.later_ts)
    both = ", ".join(f"{origin} {_instant(ts)}" for origin, ts in said)
    return f"{outline.item_id}  {outline.state}  {outline.entity_uid}  {about}  {both}"


def _document(outline: Outline) -> dict[str, Any]:
    return {
        "item_id": outline.item_id,
        "state": outline.state,
        "entity_uid": str(outline.entity_uid),
        "is_closing": outline.closing is not None,
        "rows": [_row(row) for row in outline.rows],
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "item_id": row.item_id,
        "group": row.group,
        "earlier": _event(row.earlier, row.earlier_origin, row.earlier_ts),
        "later": _event(row.later, row.later_origin, row.later_ts),
        "resolved_by": None if row.resolved_by is None else str(row.resolved_by),
    }


def _event(event_id: Any, origin: str, ts: int) -> dict[str, str]:
    return {"event_id": str(event_id), "origin": origin, "at": _instant(ts)}


def _instant(ts: int) -> str:
    return to_datetime(ts).isoformat(timespec="microseconds").replace("+00:00", "Z")
