"""``demo.json``: how tools find the locations of a running demo, and what one left behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ops.demo.locations import Location
from ops.demo.parts import Part
from ops.demo.places import CHILD_MARK, LOCATIONS, Places, write_privately
from ops.postgres import Cluster

LEFTOVER_SECONDS: Final = 5.0


def write(
    places: Places, locations: Sequence[Location], parts: Sequence[Part], kafka_bootstrap: str
) -> None:
    """Write where everything is, now."""

    def pids(name: str | None) -> dict[str, int]:
        return {part.name: pid for part in parts if part.location == name and (pid := part.pid)}

    described = [
        {
            "location_id": location.name,
            "url": location.url,
            "database_url": location.database.application,
            "processes": pids(location.name),
            "users": {name: {"username": name, **user} for name, user in location.users.items()},
            "is_cut": location.is_cut,
        }
        for location in locations
    ]
    state = {
        "locations": described,
        "kafka_bootstrap": kafka_bootstrap,
        "processes": {**pids(None), "demo": os.getpid()},
    }
    write_privately(places.state_path, json.dumps(state, indent=2))


def remove(places: Places) -> None:
    """Remove the file: nothing runs."""
    places.state_path.unlink(missing_ok=True)


def end_leftovers(places: Places) -> None:
    """End what a demo that was killed outright could not end; mark what this one starts."""
    for name in LOCATIONS:
        Cluster(places.directory / name / "postgres", 0).stop()
    os.environ[CHILD_MARK] = str(places.directory)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in _marked(places):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + LEFTOVER_SECONDS
        while time.monotonic() < deadline and _marked(places):
            time.sleep(0.05)


def _marked(places: Places) -> list[int]:
    """Return the processes that a demo in this directory has started."""
    mark = os.fsencode(f"{CHILD_MARK}={places.directory}")
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if mark in variables and int(entry.name) != os.getpid():
            found.append(int(entry.name))
    return found
