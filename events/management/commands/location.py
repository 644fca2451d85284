"""``manage.py location add|list|retire|rotate-key``: who takes part, where, and with which key."""

from __future__ import annotations

import base64
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from events import locations, membership, rotation
from events.console import OperatorCommand, columns, write_privately
from events.drafting import Author
from events.errors import SinsError

HEADINGS: Final = ("location", "answers at", "keys", "takes part", "last contact", "understands")
NEXT: Final = (
    "Put the new key into LOCATION_KEY, restart every process of this location, then run"
    " location rotate-key --finish."
)


class Command(OperatorCommand):
    help = (
        "Enter, list and retire the locations of this network, or change this one's key. Ends "
        "with 0 when it is so, 1 when a change of the key has to wait, 2 when it cannot be."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        words = parser.add_subparsers(dest="word", required=True, metavar="WORD")
        add = words.add_parser("add", help="enter one, bring it back, or say where it answers now")
        add.add_argument("name", metavar="LOCATION")
        add.add_argument("--url", required=True, help="where its peers reach it")
        add.add_argument("--public-key", required=True, metavar="KEY", help="32 bytes in base64")
        listing = words.add_parser("list", help="who there is, where, with which keys")
        retire = words.add_parser("retire", help="let one take part no more; its records stay")
        retire.add_argument("name", metavar="LOCATION")
        retire.add_argument("--force", action="store_true",
                            help="even this one itself, or the last other one")  # fmt: skip
        rotate = words.add_parser("rotate-key", help="change the key of this location")
        step = rotate.add_mutually_exclusive_group()
        step.add_argument("--out", type=Path, metavar="FILE",
                          help="begin: announce a new key, put into this new file")  # fmt: skip
        step.add_argument("--finish", action="store_true", help="end the old key")
        for each in (add, retire, rotate):
            each.add_argument("--actor", type=UUID, metavar="UID", help="the member who does it")
        for each in (add, listing, retire, rotate):
            super().add_arguments(each)

    def handle(self, *args: Any, **options: Any) -> None:
        do = {"add": self._add, "list": self._list, "retire": self._retire,
              "rotate-key": self._rotate}[options["word"]]  # fmt: skip
        try:
            do(options)
        except SinsError as exc:
            raise CommandError(str(exc), returncode=2) from exc

    def _add(self, options: dict[str, Any]) -> None:
        name = options["name"]
        events = membership.add(name, options["url"], options["public_key"], _author(options))
        here = locations.known()[settings.LOCATION_ID]
        peers = {here.name: {"url": here.url, "public_key": locations.this_key().text}}
        self._say(
            options,
            {"location": name, "recorded": len(events), "PEERS": peers},
            f"{name} is registered." if events else f"{name} is registered like this already.",
            f"It finds the others by: PEERS={json.dumps(peers)}",
        )

    def _list(self, options: dict[str, Any]) -> None:
        found = membership.listed()
        if options["json"]:
            self.stdout.write(json.dumps({"locations": found}))
            return
        for line in columns([HEADINGS, *map(_row, found)]):
            self.stdout.write(line)
        for each in found:
            if each["unsettled"]:
                self.stdout.write(
                    f"Different things were entered about {each['location']} at locations that did"
                    " not know of each other: add or retire it as it should be."
                )

    def _retire(self, options: dict[str, Any]) -> None:
        name, others = options["name"], locations.peers().keys() - {options["name"]}
        if not options["force"] and name == settings.LOCATION_ID:
            raise CommandError(f"{name} is this location itself: say --force.", returncode=2)
        if not options["force"] and name in locations.peers() and not others:
            raise CommandError(f"{name} is the last other location: say --force.", returncode=2)
        events = membership.retire(name, _author(options))
        self._say(
            options,
            {"location": name, "recorded": len(events)},
            f"{name} takes part no more." if events else f"{name} is retired already.",
        )

    def _rotate(self, options: dict[str, Any]) -> None:
        if options["finish"]:
            self._finish(options)
            return
        if options["out"] is not None:
            self._begin(options)
        found = rotation.standing()
        if not found.is_under_way:
            raise CommandError("Begin with --out FILE, where the new key is put.", returncode=2)
        self._say(options, _document(found), *_sentences(found))
        if found.waiting and options["out"] is None:
            sys.exit(1)

    def _begin(self, options: dict[str, Any]) -> None:
        seed = os.urandom(32)
        write_privately(options["out"], base64.b64encode(seed) + b"\n")
        try:
            rotation.begin(seed, _author(options))
        except SinsError:  # after any other error nobody knows whether it was announced
            options["out"].unlink()
            raise

    def _finish(self, options: dict[str, Any]) -> None:
        events = rotation.finish(_author(options))
        found = rotation.standing()
        sentence = "The old key has ended." if events else "There is no old key to end."
        self._say(options, _document(found), f"{sentence} {found.present.fingerprint} signs.")

    def _say(self, options: dict[str, Any], document: dict[str, Any], *sentences: str) -> None:
        for line in [json.dumps(document)] if options["json"] else sentences:
            self.stdout.write(line)


def _author(options: dict[str, Any]) -> Author:
    return Author(options["actor"], settings.LOCATION_ID, time.time_ns() // 1000)


def _document(found: rotation.Standing) -> dict[str, Any]:
    return {
        "location": settings.LOCATION_ID,
        "signs": found.present.fingerprint,
        "newest": found.newest.fingerprint,
        "is_under_way": found.is_under_way,
        "is_in_place": found.is_in_place,
        "waiting_for": list(found.waiting),
    }


def _sentences(found: rotation.Standing) -> list[str]:
    name = found.newest.fingerprint
    if found.waiting:
        return [
            f"{name} is announced. Not known yet to: {', '.join(found.waiting)}.",
            "Ask again with location rotate-key; a location that is gone has to be retired.",
        ]
    if found.is_in_place:
        return [f"{name} signs. End the old key with location rotate-key --finish."]
    return [f"{name} is announced, and known to every peer.", NEXT]


def _row(line: dict[str, Any]) -> tuple[object, ...]:
    keys = [f"{key['fingerprint']}{' (ended)' if key['until'] else ''}" for key in line["keys"]]
    part = "retired" if line["is_retired"] else "yes" if line["is_registered"] else "by PEERS"
    fits = {True: "all", False: "not all", None: None}[line["fits"]]
    seen = line["last_contact_at"]
    where = "here" if line["is_here"] else None
    return line["location"], line["url"] or None, ", ".join(keys), part, seen or where, fits
