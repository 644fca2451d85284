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
from ops.demo.places import LOCATIONS, Places, write_privately
from ops.postgres import Cluster

CHILD_MARK: Final = "SINS_DEMO_CHILD"  # in the environment of every process of a demo
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
    """End what a demo that was killed outright could not end."""
    for name in LOCATIONS:
        Cluster(places.directory / name / "postgres", 0).stop()
    try:
        state = json.loads(places.state_path.read_text(encoding="utf-8"))
        owners = [state, *state["locations"]]
        pids = [pid for owner in owners for pid in owner["processes"].values()]
    except (OSError, ValueError, KeyError):
        return
    left = [pid for pid in pids if _is_ours(places, pid)]
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + LEFTOVER_SECONDS
    while time.monotonic() < deadline and any(_is_ours(places, pid) for pid in left):
        time.sleep(0.05)


def _is_ours(places: Places, pid: int) -> bool:
    """Whether a process was started by a demo in this directory; the number may be another's."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    directory = os.fsencode(places.directory)
    return os.fsencode(CHILD_MARK) + b"=" + directory + b"\0" in environment or directory in command
