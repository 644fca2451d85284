"""Compose and the demo start the same commands: those of the one list."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from manage import CHECKOUT
from ops.databases import DatabaseUrls
from ops.demo import stack as demo_stack
from ops.demo.locations import Environment, Location, environment
from ops.demo.parts import Program
from ops.demo.places import LOCATIONS, Places
from ops.demo.screen import Screen
from ops.demo.stack import Stack
from ops.demo.story import tell
from ops.demo.tasks import Task
from ops.processes import command_of
from ops.tests import compose

pytestmark = pytest.mark.feature("R06")

COMMANDS = compose.parsed(compose.BASE)["x-processes"]
OF_A_LOCATION = ("web", "sequencer", "consumer", "ship", "metrics", "migrate")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Program]:
    """What a demo would start, instead of starting it."""
    found: list[Program] = []

    def start(self: Program) -> None:
        found.append(self)

    monkeypatch.setattr(Program, "start", start)
    return found


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A demo's processes; none of them runs."""
    stack = Stack(Places(tmp_path / "sins", 20_000 + os.getpid() % 10_000), broker="none")
    for location in stack.locations:
        location.database = DatabaseUrls("postgresql://a:b@h/d", "postgresql://o:b@h/d")
    stack.start_network()
    yield stack
    stack.parts.clear()  # none was started
    stack.stop()


def as_compose_says(program: Program) -> list[str]:
    return ["python" if word == sys.executable else word for word in program._command]


@pytest.mark.parametrize("name", LOCATIONS)
def test_every_container_runs_a_command_of_the_list(name: str) -> None:
    services = compose.stack("development")["services"]
    for process in OF_A_LOCATION:
        assert services[f"{name}-{process}"]["command"] == COMMANDS[process]
    assert services["kibana-setup"]["command"] == COMMANDS["kibana-setup"]
    assert set(COMMANDS) == {*OF_A_LOCATION, "kibana-setup"}
    production = compose.stack("production")["services"]
    for process in set(OF_A_LOCATION) - {"migrate"}:
        assert production[f"{name}-{process}"]["command"] == COMMANDS[process]


def test_demo_starts_the_same(stack: Stack, started: list[Program]) -> None:
    for location in stack.locations:
        stack.start_processes(location)
    assert [(part.location, part.name) for part in started] == [
        (name, process)
        for name in LOCATIONS
        for process in ("web", "sequencer", "consumer", "metrics")
    ]
    for part in started:
        assert as_compose_says(part) == COMMANDS[part.name]


def test_demo_ships_where_there_is_elasticsearch(
    stack: Stack, started: list[Program], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = environment

    def with_elasticsearch(location: Location, *rest: object) -> Environment:
        return {**plain(location, *rest), "ELASTICSEARCH_HOST": "http://127.0.0.1:1"}  # type: ignore[arg-type]

    monkeypatch.setattr(demo_stack, "environment", with_elasticsearch)
    stack.start_processes(stack.location("loc2"))
    assert as_compose_says(started[-1]) == COMMANDS["ship"]


def test_demo_prepares_its_locations_as_compose_does(
    stack: Stack, started: list[Program], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Stack, "start_network", lambda _: None)
    monkeypatch.setattr(Stack, "start_database", lambda *_: None)
    monkeypatch.setattr(Task, "start", Program.start)
    steps = tell(stack._places, stack, Screen(io.StringIO()))
    while not any(isinstance(part, Task) for part in started):
        next(steps)
    steps.close()
    prepared = [part for part in started if isinstance(part, Task)]
    assert [part.location for part in prepared] == list(LOCATIONS)
    for part in prepared:
        assert as_compose_says(part) == COMMANDS["migrate"]
        assert part._environment()["PYTHON"] == sys.executable
        assert "DATABASE_OWNER_URL" in part._environment()


def test_commands_are_this_checkouts() -> None:
    for name in COMMANDS:
        program, *_ = command_of(name)
        assert program == sys.executable or (CHECKOUT / program).is_file()


def test_one_location_counts_in_one_place(stack: Stack, started: list[Program]) -> None:
    for location in stack.locations:
        stack.start_processes(location)
    places = {(part.location, part._environment()["PROMETHEUS_MULTIPROC_DIR"]) for part in started}
    addresses = {part._environment()["METRICS_ADDRESS"] for part in started}
    assert (len(places), len(addresses)) == (3, 3)
