"""What other commands ask of a running demo: to cut a location off, and to heal it."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any, Final

from ops.demo.places import BROKER, LOCATIONS, DemoError, Places, is_running, write_privately

PATIENCE_SECONDS: Final = 45.0
SAID: Final = {
    "cut": "{0} is cut off from the others; its pages go on working.",
    "heal": "{0} is back on the network of the others.",
}
SAID_OF_BROKER: Final = {
    "cut": "The broker is gone; the locations fetch from each other.",
    "heal": "The broker is back.",
}


def ask(places: Places, word: str, location: str) -> str:
    """Have the running demo cut or heal a location; return the sentence that says it is so.

    ``location`` may be the broker, which is killed and, healed, started again.
    """
    if location not in {*LOCATIONS, BROKER}:
        raise DemoError(f"There is no location {location}: there are {', '.join(LOCATIONS)}.")
    if not is_running(places):
        raise DemoError("No demo is running here: start `make demo` first.")
    request = places.requests / f"{time.monotonic_ns():020}-{uuid.uuid4().hex}"
    write_privately(request, json.dumps({"word": word, "location": location}))
    deadline = time.monotonic() + PATIENCE_SECONDS
    while request.exists() or _is_cut(places, location) is not (word == "cut"):
        if time.monotonic() > deadline or not is_running(places):
            request.unlink(missing_ok=True)
            raise DemoError(f"The demo did not {word} {location}; see what it printed.")
        time.sleep(0.1)
    return (SAID_OF_BROKER if location == BROKER else SAID)[word].format(location)


def take(places: Places) -> tuple[str, str] | None:
    """Return ``(word, location)`` of the oldest request and leave it; ``None`` if none waits."""
    for path in _waiting(places)[:1]:
        request = json.loads(path.read_text(encoding="utf-8"))
        return request["word"], request["location"]
    return None


def done(places: Places) -> None:
    """Remove the oldest request: what it asked for is so."""
    for path in _waiting(places)[:1]:
        path.unlink(missing_ok=True)


def forget(places: Places) -> None:
    """Remove all requests: they were for a demo that has ended."""
    for path in _waiting(places):
        path.unlink(missing_ok=True)


def _waiting(places: Places) -> list[Any]:
    if not places.requests.is_dir():
        return []
    return sorted(path for path in places.requests.iterdir() if not path.name.startswith("."))


def _is_cut(places: Places, location: str) -> bool | None:
    try:
        state = json.loads(places.state_path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if location == BROKER:
        return BROKER not in state["processes"]
    found = [entry for entry in state["locations"] if entry["location_id"] == location]
    return bool(found[0]["is_cut"]) if found else None
