"""``manage.py verify_chain [--origin X]``: whether each stream here is as it was signed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from django.core.management.base import CommandError, CommandParser

from events.console import Meter, OperatorCommand, columns
from events.stream_checks import Stream, first_wrong, streams_here

HEADINGS = ("stream", "events", "last number", "heads checked", "found")


class Command(OperatorCommand):
    help = (
        "Check numbers, chain, signed heads, bytes and ciphertexts of every stream that is here. "
        "Ends with 0 when all is as it was signed, 1 when a number is wrong, 2 without a stream."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--origin", metavar="LOCATION", help="only the streams of one location")
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        origin = options["origin"]
        streams = streams_here(origin)
        if origin is not None and not streams:
            raise CommandError(f"There is no stream of {origin} here.", returncode=2)
        found = list(self._checked(streams))
        if options["json"]:
            self.stdout.write(json.dumps({"streams": found}))
        else:
            for line in columns([HEADINGS, *map(_row, found)]):
                self.stdout.write(line)
        if any(each["wrong"] for each in found):
            sys.exit(1)

    def _checked(self, streams: Sequence[Stream]) -> Iterator[dict[str, Any]]:
        meter, before = Meter(self.stderr, sum(each.last for each in streams), "numbers"), 0
        for each in streams:
            wrong = first_wrong(each, partial(_show, meter, before))
            before += each.last
            yield {
                "origin": each.origin,
                "epoch": each.epoch,
                "events": each.events,
                "last_seq": each.last,
                "heads_checked": sum(wrong is None or h.seq < wrong.seq for h in each.heads),
                "wrong": wrong and {"seq": wrong.seq, "what": wrong.what},
            }
        meter.clear()


def _show(meter: Meter, before: int, seq: int) -> None:
    meter.show(before + seq)


def _row(said: dict[str, Any]) -> tuple[object, ...]:
    wrong = said["wrong"]
    return (
        f"{said['origin']} {said['epoch']}",
        said["events"],
        said["last_seq"],
        said["heads_checked"],
        f"number {wrong['seq']} {wrong['what']}" if wrong else "as signed",
    )
