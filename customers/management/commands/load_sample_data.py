"""``load_sample_data --extras N``: the people and institutions of ``data/``, and N made-up ones."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from customers.import_command import ImportCommand, author_named, network
from customers.imports import mapped, source_namespace
from customers.samples import extras

FILES = ("sample-people.csv", "sample-institutions.json")
NAMES = "sample-names.json"
SOURCE = "sample-extras"


class Command(ImportCommand):
    """Enters sample data; run again, or at another location, it makes no doubles."""

    help = "Enter the sample people and institutions in data/, and N made-up people."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take how many people to make up."""
        parser.add_argument("--extras", type=int, default=0, metavar="N")
        self.add_author(parser)

    def handle(self, *args: Any, extras: int, username: str | None, **options: Any) -> None:
        """Enter the files, then the extras."""
        if extras < 0:
            raise CommandError("--extras must be 0 or more.", returncode=2)
        author = author_named(username)
        folder = settings.BASE_DIR / "data"
        for name in FILES:
            self.stdout.write(f"data/{name}")
            self.enter_file(folder / name, author)
        if extras:
            self._enter_extras(extras, json.loads((folder / NAMES).read_text("utf-8")), author)

    def _enter_extras(self, number: int, names: Any, author: Any) -> None:
        self.stdout.write(f"{number} extras")
        table = extras(number, names)
        mapping = mapped(table, source_namespace(network(), SOURCE), {}, None)
        self.enter_table(table, mapping, author)
