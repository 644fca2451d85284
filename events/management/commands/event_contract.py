"""``manage.py event_contract``: what other programs may rely on in the topics."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from events.contract import files
from events.registry import kinds


class Command(BaseCommand):
    help = "Write the AsyncAPI document and the JSON Schema of each event version."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--out", required=True, type=Path, help="the directory to write to")

    def handle(self, *args: Any, **options: Any) -> None:
        directory: Path = options["out"]
        found = files(kinds())
        try:
            directory.mkdir(parents=True, exist_ok=True)
            for name, document in found.items():
                (directory / name).write_text(to_text(document), encoding="utf-8")
        except OSError as exc:
            raise CommandError(
                f"{directory} cannot be written: {exc.strerror}", returncode=2
            ) from exc
        self.stdout.write(f"{len(found)} files in {directory}")


def to_text(document: dict[str, Any]) -> str:
    """Return a document as it stands in its file."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
