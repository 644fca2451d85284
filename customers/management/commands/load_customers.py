"""``load_customers FILE``: enter people from a CSV or JSON file."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from customers.import_command import ImportCommand, author_named, column_pair, part
from customers.imports import How


class Command(ImportCommand):
    """Enters who is missing and leaves who is there; safe to run again."""

    help = (
        "Enter people from a CSV (UTF-8, first line the names of the columns) or JSON file. "
        "Who is there already is left as they are, unless --update is given."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the file and what its columns mean."""
        self.add_file(parser)
        parser.add_argument(
            "--id-column", metavar="COLUMN",
            help="what tells the source's records apart; default: id, else the row's number",
        )  # fmt: skip
        parser.add_argument(
            "--map", nargs="+", action="extend", default=[], type=column_pair,
            metavar="FIELD=COLUMN", help="which column holds a field that it is not named after",
        )  # fmt: skip
        parser.add_argument(
            "--part", type=part, default=(1, 1), metavar="K/N",
            help="only every N-th row, from the K-th on",
        )  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        """Enter the file's people."""
        self.enter_file(
            options["file"],
            author_named(options["username"]),
            source=options["source"],
            columns=dict(options["map"]),
            id_column=options["id_column"],
            part=options["part"],
            how=How(is_update=options["update"], is_dry_run=options["dry_run"]),
        )
