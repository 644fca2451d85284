#!/usr/bin/env python3
"""Django's command line for one location.

In a checkout with a running demo, and no settings in the environment or ``.env``, it speaks for
``loc1``; ``--location loc3`` speaks for another.
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent


def main(arguments: list[str]) -> None:
    """Run one management command; ``demo`` starts before there are any settings."""
    if arguments[1:2] == ["demo"]:
        sys.argv = arguments[1:]
        runpy.run_module("ops.demo", run_name="__main__", alter_sys=True)
        return
    location = take_location(arguments)
    is_told = os.environ.get("DATABASE_URL") or os.environ.get("DATABASE_URL_FILE")
    if location or not (is_told or (CHECKOUT / ".env").exists()):
        load_environment(CHECKOUT / ".sins" / (location or "loc1") / "environment", bool(location))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sins.settings")
    # Imported here: Django must not be touched before the environment is complete.
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    from sins.collector import collect_rarely

    try:
        _ = settings.LOCATION_ID
    except ImproperlyConfigured as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    collect_rarely()
    execute_from_command_line(arguments)


def take_location(arguments: list[str]) -> str | None:
    """Remove ``--location NAME`` from ``arguments`` and return NAME."""
    for index, argument in enumerate(arguments):
        if argument == "--location" and index + 1 < len(arguments):
            _, name = arguments[index : index + 2]
            del arguments[index : index + 2]
            return name
        if argument.startswith("--location="):
            return arguments.pop(index).partition("=")[2]
    return None


def load_environment(path: Path, is_required: bool) -> None:
    """Put the KEY=VALUE lines of a demo location's file into the environment."""
    if not path.exists():
        if is_required:
            sys.exit(f"There is no location {path.parent.name} here: start `make demo` first.")
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        key, equals, value = line.partition("=")
        if equals and not key.startswith("#"):
            os.environ[key.strip()] = value.strip()


if __name__ == "__main__":
    main(sys.argv)
