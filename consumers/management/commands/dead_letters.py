"""``manage.py dead_letters list|show|retry``: bytes that were not received as events."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.timesince import timesince

from consumers import dead_letters
from consumers.dead_letters import Kept
from consumers.retries import Retrier
from consumers.runner import now_us
from events.console import Meter, OperatorCommand, columns, write_privately
from events.envelope import from_raw
from events.errors import UndecodableEvent

HEADINGS = ("id", "place", "source", "reason", "bytes", "age")


class Command(OperatorCommand):
    help = (
        "List dead letters, show one, or look again whether they are settled. No value of theirs "
        "is ever printed. list ends with 0 when there are none, retry when all asked for are "
        "settled; both with 1 otherwise."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["list", "show", "retry"])
        parser.add_argument("ids", nargs="*", type=int, metavar="ID")
        parser.add_argument("--all", action="store_true", help="retry: all there are")
        parser.add_argument(
            "--raw-file", type=Path, metavar="PATH",
            help="show: write the bytes to a new file that only you may read",
        )  # fmt: skip
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        {"list": self._list, "show": self._show, "retry": self._retry}[options["action"]](options)

    def _list(self, options: dict[str, Any]) -> None:
        letters = _kept(options["ids"]) if options["ids"] else dead_letters.kept()
        if options["json"]:
            self.stdout.write(json.dumps({"dead_letters": [_document(each) for each in letters]}))
        elif letters:
            for line in columns([HEADINGS, *map(_row, letters)]):
                self.stdout.write(line)
        if letters:
            sys.exit(1)

    def _show(self, options: dict[str, Any]) -> None:
        if len(options["ids"]) != 1:
            raise CommandError("Say which one: dead_letters show ID.", returncode=2)
        (letter,) = _kept(options["ids"])
        raw = dead_letters.raw_of(letter)
        if options["raw_file"]:
            write_privately(options["raw_file"], raw)
        said = {**_document(letter), "sha256": letter.sha256, "event": _envelope(raw)}
        if options["json"]:
            self.stdout.write(json.dumps(said))
            return
        for name, value in {**said, **(said.pop("event") or {"event": "none"})}.items():
            self.stdout.write(f"{name.replace('_', ' '):<15} {json.dumps(value)}")

    def _retry(self, options: dict[str, Any]) -> None:
        if bool(options["ids"]) == options["all"]:
            raise CommandError("Say which: dead_letters retry ID …, or --all.", returncode=2)
        letters = dead_letters.kept() if options["all"] else _kept(options["ids"])
        meter, outcomes = Meter(self.stderr, len(letters), "dead letters"), []
        for outcome in Retrier(now_us).retry(letters):
            outcomes.append(outcome)
            meter.show(len(outcomes))
        meter.clear()
        if options["json"]:
            found = [
                {**_document(each.letter), "settled": each.is_settled, "outcome": each.said}
                for each in outcomes
            ]
            self.stdout.write(json.dumps({"dead_letters": found}))
        else:
            for each in outcomes:
                self.stdout.write(f"{each.letter.id}  {each.letter.place}  {each.said}")
        if not all(each.is_settled for each in outcomes):
            sys.exit(1)


def _kept(ids: list[int]) -> list[Kept]:
    letters = dead_letters.kept(ids)
    missing = sorted(set(ids) - {letter.id for letter in letters})
    if missing:
        named = ", ".join(map(str, missing))
        raise CommandError(f"There is no dead letter {named}.", returncode=2)
    return letters


def _document(letter: Kept) -> dict[str, Any]:
    return {
        "id": letter.id,
        "origin": letter.origin,
        "epoch": letter.epoch,
        "seq": letter.seq,
        "source": letter.source,
        "reason": letter.reason,
        "bytes": letter.size,
        "received_at": letter.received_at.isoformat(),
        "age_seconds": round(time.time() - letter.received_at.timestamp()),
    }


def _row(letter: Kept) -> tuple[object, ...]:
    age = timesince(letter.received_at, depth=1).replace("\xa0", " ")
    return letter.id, letter.place, letter.source, letter.reason, letter.size, age


def _envelope(raw: bytes) -> dict[str, Any] | None:
    """Return what the bytes say they are, if they are an event; no value of it."""
    try:
        event = from_raw(raw)
    except UndecodableEvent:
        return None
    return {
        "type": event.type,
        "schema_version": event.schema_version,
        "ts": event.ts,
        "entity_uid": str(event.entity_uid),
        "groups": sorted(event.set),
    }
