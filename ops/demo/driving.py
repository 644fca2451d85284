"""A demo that a program drives: at a place and ports of its own, without the people."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from ops.demo import requests
from ops.demo.entering import MARKER
from ops.demo.locations import child_environment, manage
from ops.demo.places import CHECKOUT, LOCATIONS, DemoError, Places, write_privately
from ops.ports import is_free
from ops.postgres import Cluster

PORTS: Final = range(20_000, 30_000, 100)  # the system picks its own above these
START_SECONDS: Final = 300.0
STOP_SECONDS: Final = 60.0
FLAGS: Final[Mapping[str, tuple[str, ...]]] = {
    "embedded": (),
    "kafka": ("--kafka",),
    "none": ("--no-broker",),
}


class DrivenDemo:
    """A demo in a process of its own; ``broker`` is ``embedded``, ``kafka`` or ``none``."""

    def __init__(self, directory: Path, *, broker: str = "embedded") -> None:
        self.places = Places(directory.absolute(), first_port())
        self._flags = FLAGS[broker]
        self._log = self.places.directory / "demo.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def printed(self) -> str:
        """What it has said."""
        return self._log.read_text(encoding="utf-8")

    @property
    def state(self) -> dict[str, Any]:
        """What tools are told of it, now."""
        told: dict[str, Any] = json.loads(self.places.state_path.read_text(encoding="utf-8"))
        return told

    @property
    def is_running(self) -> bool:
        """Whether its own process runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it with nobody entered; returns when its locations are ready."""
        # Who finds this has entered the people before.
        write_privately(self.places.directory / MARKER, "{}")
        told = {
            "SINS_DEMO_DIRECTORY": str(self.places.directory),
            "SINS_DEMO_PORT": str(self.places.first_port),
        }
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                [*manage("demo"), *self._flags],
                cwd=CHECKOUT,
                env={**child_environment(told), **_kafka_library()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + START_SECONDS
        while "Ready after" not in self.printed:
            if not self.is_running or time.monotonic() > deadline:
                raise DemoError(f"The demo did not start: {self.printed}")
            time.sleep(0.1)

    def stop(self) -> int:
        """End it as Ctrl-C does; return its exit code."""
        if self._process is None:
            return 0
        if self.is_running:
            self._process.send_signal(signal.SIGINT)
        return self._process.wait(STOP_SECONDS)

    def forget(self) -> None:
        """Delete its databases, which do not lie in its directory for root."""
        for name in LOCATIONS:
            Cluster(self.places.directory / name / "postgres", 0).destroy()

    def location(self, name: str) -> Mapping[str, Any]:
        """Return what tools are told of a location, now."""
        return next(entry for entry in self.state["locations"] if entry["location_id"] == name)

    def client(self, name: str, user: str = "agent", *, timeout: float = 30) -> httpx.Client:
        """Return a client of a location's API that speaks for one of its users."""
        location = self.location(name)
        token = location["users"][user]["token"]
        return httpx.Client(
            base_url=f"{location['url']}/api/v1",
            headers={"Authorization": f"Token {token}"},
            timeout=timeout,
            trust_env=False,
        )

    def word(self, word: str, whom: str) -> None:
        """Say ``cut`` or ``heal`` of a location or the broker."""
        requests.ask(self.places, word, whom)


@contextmanager
def driven_demo(directory: Path, *, broker: str = "embedded") -> Iterator[DrivenDemo]:
    """Yield a running demo; it is ended, and its databases are deleted."""
    demo = DrivenDemo(directory, broker=broker)
    try:
        demo.start()
        yield demo
    finally:
        demo.stop()
        demo.forget()


def first_port() -> int:
    """Return a port from which on a demo finds those it needs."""
    starts = list(PORTS)
    random.SystemRandom().shuffle(starts)
    for start in starts:
        if all(is_free(start + offset) for offset in range(30)):
            return start
    raise DemoError("No ports are left for a demo.")


def _kafka_library() -> dict[str, str]:
    names = ("SINS_KAFKA_LIB", "JAVA_HOME")
    return {name: os.environ[name] for name in names if name in os.environ}
