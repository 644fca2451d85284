"""The one list of a location's processes: ``x-processes`` in ``docker-compose.yml``.

Compose starts its containers from it, and the demo the same commands as processes of this machine.
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import Final

import yaml

COMPOSE_FILE: Final = Path(__file__).resolve().parent.parent / "docker-compose.yml"


@functools.cache
def _commands() -> dict[str, list[str]]:
    listed = yaml.safe_load(COMPOSE_FILE.read_text(encoding="utf-8"))["x-processes"]
    return {str(name): [str(word) for word in command] for name, command in listed.items()}


def command_of(name: str) -> list[str]:
    """Return the command line of a process, run by the Python that runs this."""
    return [sys.executable if word == "python" else word for word in _commands()[name]]
