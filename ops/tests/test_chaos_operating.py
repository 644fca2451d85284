"""What operators do in the chaos runs: a release that differs, a key that changes, or a failure."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from types import SimpleNamespace
from typing import Any, cast

import pytest

from customers.kinds import ENTITY
from events import versions
from events.fold import State
from ops.chaos.processes import operating
from ops.chaos.processes.history import STUCK
from ops.chaos.processes.operating import change_key, upgrade, wait_for_version
from ops.chaos.processes.releases import later
from ops.chaos.processes.stack import ChaosStack
from ops.demo.places import LOCATIONS


@pytest.mark.parametrize("text", ["Text", "", None, "a (1)"])
def test_a_later_release_writes_older_versions_otherwise_and_reads_them_the_same(
    text: str | None,
) -> None:
    kind = later(ENTITY, 2)
    assert (kind.version, set(kind.event_types.values())) == (3, {3})
    state: State = {"notes": {"value": text}, "name": {"value": "Name"}}
    for version, marks in ((1, " (2) (1)"), (2, " (2)")):
        steps = kind.steps[version - 1 :]
        written, _ = versions.older(state, state, {}, steps)
        assert written["notes"]["value"] == (None if text is None else text + marks)
        assert versions.newer(written, steps) == state
    assert later(ENTITY, 0) == ENTITY


class Part:
    """A process that takes any order."""

    def stop(self) -> None:
        pass

    ask_to_stop = stop


class Operated:
    """A stack whose commands end as they are told to, and whose locations write version 1."""

    processes = ("web",)
    names = LOCATIONS

    def __init__(self, directory: Path) -> None:
        self.commands = {name: threading.Lock() for name in LOCATIONS}
        self.failures: list[Any] = []
        self.asked: list[tuple[str, ...]] = []
        self.ends: dict[str, int] = {}  # by the last word
        self.is_ready = True
        self.secrets = {"LOCATION_KEY": "old"}
        self._directory = directory
        self._release = 0

    def manage(self, name: str, *command: str) -> CompletedProcess[str]:
        self.asked.append(command)
        if "--out" in command:
            Path(command[-1]).write_text("new\n")
        return CompletedProcess(command, self.ends.get(command[-1], 0), "", "It cannot be.\n")

    def location(self, name: str) -> Any:
        return SimpleNamespace(directory=self._directory, secrets=self.secrets)

    def part(self, name: str, process: str) -> Part:
        return Part()

    def hold(self, part: Part) -> None:
        pass

    release = hold

    def keep_alive(self) -> bool:
        return True

    def readiness(self, name: str) -> dict[str, str]:
        return {"status": "ready" if self.is_ready else "failing"}

    def release_of(self, name: str) -> int:
        return self._release

    def set_release(self, name: str, release: int) -> None:
        self._release = release

    def rows(self, *_: object) -> list[tuple[int]]:
        return [(1,)]

    def write_environments(self) -> None:
        assert self.secrets == {"LOCATION_KEY": "new"}

    @property
    def as_stack(self) -> ChaosStack:
        return cast("ChaosStack", self)


@pytest.fixture
def operated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Operated:
    monkeypatch.setattr(operating, "PATIENCE_SECONDS", 0.0)
    return Operated(tmp_path)


def test_a_key_is_changed_step_by_step(operated: Operated, tmp_path: Path) -> None:
    change_key(operated.as_stack, "loc1")
    assert [command[-1] for command in operated.asked][1:] == ["rotate-key", "--finish"]
    assert operated.secrets == {"LOCATION_KEY": "new"}
    assert operated.failures == list(tmp_path.iterdir()) == []


def test_who_is_upgraded_migrates(operated: Operated) -> None:
    upgrade(operated.as_stack, "loc1")
    assert (operated.release_of("loc1"), operated.asked[0][0]) == (1, "migrate")
    assert operated.failures == []


def not_migrating(operated: Operated) -> None:
    operated.ends["0"] = 1
    upgrade(operated.as_stack, "loc1")


def not_serving(operated: Operated) -> None:
    operated.is_ready = False
    upgrade(operated.as_stack, "loc1")


def not_writing_it(operated: Operated) -> None:
    wait_for_version(operated.as_stack)
    assert operated.failures == []
    operated.set_release("loc1", 1)
    wait_for_version(operated.as_stack)


def not_known(operated: Operated) -> None:
    operated.ends["rotate-key"] = 1
    change_key(operated.as_stack, "loc1")
    assert operated.secrets == {"LOCATION_KEY": "old"}


def not_ending(operated: Operated) -> None:
    operated.ends["--finish"] = 2
    change_key(operated.as_stack, "loc1")


@pytest.mark.parametrize(
    ("operate", "sentence"),
    [
        (not_migrating, "migrate at loc1: It cannot be."),
        (not_serving, "loc1 does not serve again"),
        (not_writing_it, "not all write version {'loc1': 2, 'loc2': 2, 'loc3': 2}"),
        (not_known, "not all know loc1's key"),
        (not_ending, "loc1's old key does not end"),
    ],
)
def test_what_does_not_work_is_a_failure(
    operated: Operated, operate: Callable[[Operated], None], sentence: str
) -> None:
    operate(operated)
    assert operated.failures == [(STUCK, sentence)]
