"""The stack of the chaos runs starts again what has died, and says what has died by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from unittest.mock import create_autospec

import psycopg
import pytest

from ops.chaos.processes import releases
from ops.chaos.processes.disk import SmallDisk
from ops.chaos.processes.faults import DISK_FULL, Fault, begin
from ops.chaos.processes.history import STUCK
from ops.chaos.processes.run import ended_by_themselves
from ops.chaos.processes.stack import ChaosStack
from ops.demo.driving import first_port
from ops.demo.places import Places


class Process:
    """A process that is started, and ended by the test."""

    def __init__(self) -> None:
        self.name = "web"
        self.location: str | None = "loc1"
        self.pid: int | None = 1

    def start(self) -> None:
        self.pid = 1

    def ask_to_stop(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def ending(self) -> str:
        return "ended with 1"


@pytest.fixture
def process() -> Process:
    return Process()


@pytest.fixture
def stack(tmp_path: Path, process: Process) -> Iterator[ChaosStack]:
    stack = ChaosStack(Places(tmp_path, first_port()), with_disk=False)
    for network in (stack._network, stack._side_network):
        network.start()
    stack.parts = [process]
    yield stack
    stack.disk = None
    stack.stop()


def test_what_a_fault_ends_has_not_died_by_itself(stack: ChaosStack, process: Process) -> None:
    stack.hold(process)
    process.pid = None
    assert not stack.keep_alive()
    assert process.pid is None
    stack.release(process)
    assert not stack.keep_alive()
    assert stack.keep_alive()
    assert stack.take_died() == []


def test_a_location_is_of_its_release(stack: ChaosStack) -> None:
    stack.set_release("loc2", 3)
    told = [stack.child(location)[releases.VARIABLE] for location in stack.locations]
    assert told == ["0", "3", "0"]
    assert stack.process("web", stack.locations[1])[releases.VARIABLE] == "3"


def runs(process: Process) -> bool:
    return process.pid is not None


def test_what_ends_of_a_full_disk_has_not_died_by_itself(
    stack: ChaosStack, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ends(*_: object) -> None:
        process.pid = None  # it was recovering, and there was still no space
        raise psycopg.OperationalError

    monkeypatch.setattr(stack, "rows", ends)
    stack.disk = create_autospec(SmallDisk)
    with begin(stack, Fault(DISK_FULL, "loc1 web", 0.0, 0.0)):
        assert stack.keep_alive()
    assert not runs(process)
    stack.keep_alive()
    assert runs(process)
    assert stack.take_died() == []


def test_what_survives_a_fault_may_die_by_itself(stack: ChaosStack, process: Process) -> None:
    stack.hold(process)
    stack.release(process)
    process.pid = None
    stack.keep_alive()
    assert [kind for kind, _ in ended_by_themselves(stack.take_died())] == [STUCK]
    assert stack.take_died() == []
