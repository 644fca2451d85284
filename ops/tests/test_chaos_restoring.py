"""A location that cannot be lost or not be brought back as it should is a failure."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, cast

import pytest

from ops.chaos.processes import restoring
from ops.chaos.processes.history import STUCK, Failure
from ops.chaos.processes.stack import ChaosStack
from ops.demo.places import LOCATIONS


class Alone:
    """A stack of which nothing runs: who has what, and how commands end, is set."""

    processes = ("web", "sequencer", "consumer")

    def __init__(self) -> None:
        self.commands = {name: threading.Lock() for name in LOCATIONS}
        self.failures: list[Failure] = []
        self.held: set[str] = set()

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
    stack = Alone()
    monkeypatch.setattr(restoring, "ARRIVED_SECONDS", 0.0)
    restoring.lose_and_restore(stack.as_stack, "loc1", tmp_path)
    assert stack.failures == [Failure(STUCK, "loc1 is not restored: no peer has its writes")]
    assert stack.held == set()
