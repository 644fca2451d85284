"""The whole demo, once: from nothing to three equal locations, a cut, a crash, and nothing left."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ops.demo.places import CHECKOUT, CHILD_MARK, Places
from ops.postgres import Cluster

pytestmark = pytest.mark.feature("R07")

PEOPLE = "/api/v1/customers"


class Demo:
    """A demo of the test's own; ``printed`` is what it has said."""

    def __init__(self, folder: Path) -> None:
        self.places = Places(folder / "sins", 30_000 - os.getpid() % 2_000 * 5)
        self._log = folder / "demo.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What every ``manage.py demo`` here is told."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "SINS_DEMO_DIRECTORY": str(self.places.directory),
            "SINS_DEMO_PORT": str(self.places.first_port),
        }

    @property
    def printed(self) -> str:
        """What it has said since its last start."""
        return self._log.read_text(encoding="utf-8")

    @property
    def state(self) -> dict[str, Any]:
        """What tools are told of it."""
        told: dict[str, Any] = json.loads(self.places.state_path.read_text(encoding="utf-8"))
        return told

    def start(self) -> float:
        """Start it, wait until it is ready, and return the seconds that took."""
        begun = time.monotonic()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "manage.py", "demo"],
                cwd=CHECKOUT,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_for(lambda: "Ready after" in self.printed or self.has_ended, 240)
        assert not self.has_ended, self.printed
        return time.monotonic() - begun

    @property
    def has_ended(self) -> bool:
        """Whether it does not run."""
        return self._process is None or self._process.poll() is not None

    def stop(self) -> int:
        """End it as Ctrl-C does; return its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(60)

    def word(self, *arguments: str) -> str:
        """Say ``demo cut`` or ``demo heal``."""
        done = subprocess.run(
            [sys.executable, "manage.py", "demo", *arguments],
            cwd=CHECKOUT, env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def client(self, number: int) -> httpx.Client:
        """Return a client of a location, signed in as its agent."""
        location = self.state["locations"][number - 1]
        token = location["users"]["agent"]["token"]
        return httpx.Client(
            base_url=location["url"], headers={"Authorization": f"Token {token}"}, timeout=10
        )

    def count(self, number: int) -> int:
        """Return how many customers a location has."""
        with self.client(number) as client:
            return int(client.get(PEOPLE, params={"limit": 1}).json()["count"])

    def clusters(self) -> list[Cluster]:
        """Return the locations' PostgreSQL servers."""
        names = ("loc1", "loc2", "loc3")
        return [Cluster(self.places.directory / name / "postgres", 0) for name in names]

    def processes(self) -> list[int]:
        """Return every process that was started for it and runs."""
        mark = os.fsencode(f"{CHILD_MARK}={self.places.directory}")
        servers = [pid for cluster in self.clusters() if (pid := cluster.running_pid())]
        return servers + [
            int(entry.name) for entry in Path("/proc").glob("[0-9]*") if mark in variables_of(entry)
        ]


def variables_of(entry: Path) -> list[bytes]:
    """Return the environment of a process; nothing if it has ended."""
    try:
        return (entry / "environ").read_bytes().split(b"\0")
    except OSError:
        return []


def wait_for(what: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    """A demo that is ended and removed after the test."""
    demo = Demo(tmp_path)
    yield demo
    if not demo.has_ended:
        demo.stop()
    for cluster in demo.clusters():
        cluster.destroy()


def test_three_locations_from_one_command(demo: Demo) -> None:
    demo.start()
    printed = demo.printed
    digests = re.findall(r"^loc\d .*\b([0-9a-f]{12,})$", printed, re.MULTILINE)
    assert len(digests) == 3, printed
    assert len(set(digests)) == 1
    assert [demo.count(number) for number in (1, 2, 3)] == [1000, 1000, 1000]
    assert printed.count("no such day") == 3

    _cut_and_heal(demo)
    _go_on_without_the_broker(demo)
    _restart_what_was_killed(demo)

    assert len(demo.processes()) > 12  # else the next look would find nothing either
    assert demo.stop() == 0
    assert not demo.places.state_path.exists()
    assert demo.processes() == []
    assert demo.start() <= 60
    assert [demo.count(number) for number in (1, 2, 3)] == [1003, 1003, 1003]
    assert demo.stop() == 0
    assert demo.processes() == []


def _enter(demo: Demo, number: int) -> str:
    """Enter a customer at a location; return where that customer is found."""
    with demo.client(number) as client:
        made = client.post(PEOPLE, json={"surname": "Noether", "name": "Emmy"})
        assert made.status_code == 201
        path = f"{PEOPLE}/{made.json()['entity_uid']}"
        assert client.get(path).status_code == 200
    return path


def _cut_and_heal(demo: Demo) -> None:
    assert demo.word("cut", "loc3").count("\n") == 1
    assert [entry["is_cut"] for entry in demo.state["locations"]] == [False, False, True]
    path = _enter(demo, 3)  # its pages go on working
    time.sleep(3)
    with demo.client(1) as client:
        assert client.get(path).status_code == 404
        demo.word("heal", "loc3")
        wait_for(lambda: client.get(path).status_code == 200)
    assert not any(entry["is_cut"] for entry in demo.state["locations"])


def _go_on_without_the_broker(demo: Demo) -> None:
    for word in ("cut", "heal"):  # healed, it has another address
        demo.word(word, "broker")
        assert ("broker" in demo.state["processes"]) is (word == "heal")
        path = _enter(demo, 1)
        with demo.client(2) as client:
            wait_for(lambda: client.get(path).status_code == 200)  # noqa: B023


def _restart_what_was_killed(demo: Demo) -> None:
    for name in ("web", "sequencer", "consumer", "postgres"):
        before = demo.state["locations"][0]["processes"][name]
        os.kill(before, signal.SIGKILL)
        wait_for(lambda: demo.state["locations"][0]["processes"].get(name, before) != before)  # noqa: B023
        assert f"loc1 {name} runs again" in demo.printed
    wait_for(lambda: _answers(demo))


def _answers(demo: Demo) -> bool:
    try:
        return demo.count(1) == 1003
    except (httpx.HTTPError, ValueError, KeyError):
        return False
