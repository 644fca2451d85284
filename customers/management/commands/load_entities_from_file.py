"""``load_entities_from_file FILE``: enter entities as the API takes them, or as flat columns."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from customers.import_command import ImportCommand, author_named
from customers.imports import How


class Command(ImportCommand):
    """Enters the entities that are missing; the same write as from a page or the API."""

    help = (
        "Enter entities from a file: JSON as POST /api/v1/entities takes them, in a list, or CSV, "
        "with a line per entity or a line per detail (entity_uid, detail_code, value)."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the file."""
        self.add_file(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Enter the file's entities."""
        self.enter_file(
            options["file"],
            author_named(options["username"]),
            source=options["source"],
            how=How(is_update=options["update"], is_dry_run=options["dry_run"]),
        )
