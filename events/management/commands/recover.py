"""``manage.py recover``: this database was restored or moved, and no other runs under its name."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from events import home


class Command(BaseCommand):
    help = "Say that this database was restored or moved, and the one it comes from runs no more."

    def handle(self, *args: Any, **options: Any) -> None:
        home.move()
        self.stdout.write(
            "No writes until every peer has given back what it has of this location; start its"
            " processes."
        )
