"""Where a demo keeps its files, which ports it takes, and whether it may start."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from ops.ports import is_free
from ops.unprivileged import STATE_DIRECTORY

CHECKOUT: Final = Path(__file__).resolve().parent.parent.parent
LOCATIONS: Final = ("loc1", "loc2", "loc3")
BROKER: Final = "broker"  # what all locations share; it can be cut, too
FIRST_PORT: Final = 8001
INTERNAL_PORTS: Final = range(10, 100)  # of what only the demo itself connects to
CHILD_MARK: Final = "SINS_DEMO_CHILD"  # in the environment of every process of a demo
NEEDED_MEGABYTES: Final = 600  # of three new locations
SPARE_MEGABYTES: Final = 100  # of locations that are there


class DemoError(Exception):
    """The demo cannot start or go on; the message is a sentence for a person."""


@dataclass(frozen=True, slots=True)
class Places:
    """The demo's directory and the port of its first location; the others' ports follow it."""

    directory: Path
    first_port: int

    @classmethod
    def of_environment(cls) -> Self:
        """Return ``.sins/`` and 8001, or what SINS_DEMO_DIRECTORY and SINS_DEMO_PORT say."""
        directory = Path(os.environ.get("SINS_DEMO_DIRECTORY") or CHECKOUT / ".sins")
        text = os.environ.get("SINS_DEMO_PORT") or str(FIRST_PORT)
        if not text.isdecimal() or not 1024 <= int(text) <= 65000:
            raise DemoError("SINS_DEMO_PORT must be a port between 1024 and 65000.")
        return cls(directory.absolute(), int(text))

    @property
    def state_path(self) -> Path:
        """Where tools find the running demo."""
        return self.directory / "demo.json"

    @property
    def requests(self) -> Path:
        """Where other commands leave what they ask of the running demo."""
        return self.directory / "requests"

    def web_port(self, name: str) -> int:
        """Return the port a location's pages are served at."""
        return self.first_port + LOCATIONS.index(name)

    def log(self, location: str | None, name: str) -> Path:
        """Return the log of a process."""
        return self.directory / (location or "") / f"{name}.log"


class InternalPorts:
    """Hands out free ports beside the demo's own; below those the system picks for others."""

    def __init__(self, first_port: int) -> None:
        self._left = iter(first_port + offset for offset in INTERNAL_PORTS)

    def take(self) -> int:
        """Return the next port that nobody listens on."""
        for port in self._left:
            if is_free(port):
                return port
        raise DemoError("No port is left for the demo's own servers.")


def check_ports(places: Places) -> None:
    """Refuse to start when another program has a location's port."""
    for name in LOCATIONS:
        port = places.web_port(name)
        if not is_free(port):
            raise DemoError(f"Port {port} is taken by another program; {name} needs it.")


def check_disk(places: Places) -> None:
    """Refuse to start when the disk is full."""
    is_new = not (places.directory / LOCATIONS[-1] / "environment").exists()
    needed = NEEDED_MEGABYTES if is_new else SPARE_MEGABYTES
    for folder in (places.directory, STATE_DIRECTORY if os.geteuid() == 0 else places.directory):
        existing = next(path for path in (folder, *folder.parents) if path.exists())
        free = shutil.disk_usage(existing).free // 1_000_000
        if free < needed:
            raise DemoError(
                f"The disk is full: {existing} has {free} MB left, the demo needs {needed} MB."
            )


@contextlib.contextmanager
def only_one(places: Places) -> Iterator[None]:
    """Hold the demo's directory; ``DemoError`` if a demo runs in it."""
    places.directory.mkdir(parents=True, exist_ok=True)
    places.directory.chmod(0o700)  # it holds keys and logins
    with (places.directory / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise DemoError(f"A demo runs in {places.directory} already.") from exc
        yield


def is_running(places: Places) -> bool:
    """Whether a demo holds the directory."""
    if not (places.directory / "lock").exists():
        return False
    try:
        with only_one(places):
            return False
    except DemoError:
        return True


def write_privately(path: Path, text: str) -> None:
    """Write a file for its owner alone; a reader sees the old text or the new, never half."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    scratch = path.with_name(f".{path.name}.new")
    scratch.unlink(missing_ok=True)
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    scratch.replace(path)
