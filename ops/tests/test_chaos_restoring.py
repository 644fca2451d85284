"""A location that cannot be lost or not be brought back as it should is a failure."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ops.chaos.processes import restoring
from ops.chaos.processes.faults import Fault, begin
from ops.chaos.processes.history import STUCK, Failure
from ops.chaos.processes.stack import ChaosStack
from ops.demo.places import LOCATIONS

RESTORED = Fault("restored", "loc1", 0.0, 0.0)


class Alone:
    """A stack of which nothing runs, and no command succeeds."""

    processes = ("web", "sequencer", "consumer")
    names = LOCATIONS

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.commands = {name: threading.Lock() for name in LOCATIONS}
        self.failures: list[Failure] = []
        self.held: set[str] = set()

    def location(self, name: str) -> Any:
        return SimpleNamespace(directory=self._directory)

    def run(self, name: str, *command: str) -> Any:
        return SimpleNamespace(returncode=1, stderr="The disk is full.\n")

    def part(self, name: str, process: str) -> Any:
        return Part(process)

    def hold(self, part: Part) -> None:
        self.held.add(part.name)

    def release(self, part: Part) -> None:
        self.held.discard(part.name)

    @property
    def as_stack(self) -> ChaosStack:
        return cast("ChaosStack", self)


class Part:
    """A process that takes any order."""

    def __init__(self, name: str) -> None:
        self.name = name

    def stop(self) -> None:
        pass


def test_who_is_not_lost_as_no_peer_has_its_writes_is_stuck(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = Alone(tmp_path)
    monkeypatch.setattr(restoring, "ARRIVED_SECONDS", 0.0)
    restoring.lose_and_restore(stack.as_stack, "loc1", tmp_path)
    assert stack.failures == [Failure(STUCK, "loc1 is not restored: no peer has its writes")]
    assert stack.held == set()


def test_who_cannot_be_saved_is_not_lost(tmp_path: Path) -> None:
    stack = Alone(tmp_path)
    with begin(stack.as_stack, RESTORED):
        assert stack.failures == [Failure(STUCK, "ops.backup save at loc1: The disk is full.")]
    assert len(stack.failures) == 1


def test_who_cannot_be_brought_back_is_stuck(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = Alone(tmp_path)
    for name in ("_has_somebody_all", "_empty"):  # it is lost
        monkeypatch.setattr(restoring, name, lambda *_: True)
    restoring.lose_and_restore(stack.as_stack, "loc1", tmp_path)
    assert stack.failures == [Failure(STUCK, "ops.backup restore at loc1: The disk is full.")]
    assert stack.held == set()
