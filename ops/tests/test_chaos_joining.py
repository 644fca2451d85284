"""What goes wrong while a location joins is a failure, and nobody goes on without a new one."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from subprocess import CompletedProcess
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ops.chaos.processes.history import STUCK
from ops.chaos.processes.joining import dismiss, join, refuse_absent
from ops.chaos.processes.stack import ChaosStack
from ops.demo.places import LOCATIONS, DemoError

LISTED = [{"location": name, "is_retired": False} for name in LOCATIONS]


class Joined:
    """A stack without a process; ``listed`` is who is registered."""

    def __init__(self) -> None:
        self.locations = [SimpleNamespace(name=name) for name in LOCATIONS]
        self.commands = {name: threading.Lock() for name in LOCATIONS}
        self.failures: list[Any] = []
        self.asked: list[tuple[str, ...]] = []
        self.listed: list[dict[str, Any]] = LISTED
        self.code = 0
        self.peers: Mapping[str, object] = {}

    @property
    def names(self) -> list[str]:
        return [location.name for location in self.locations]

    def manage(self, name: str, *command: str) -> CompletedProcess[str]:
        self.asked.append((name, *command[:3]))
        said = {"locations": self.listed} if "list" in command else {"PEERS": {name: "address"}}
        code = self.code if "add" in command else 0
        return CompletedProcess(command, code, json.dumps(said), "It is retired.\n")

    def new_location(self, name: str) -> Any:
        return SimpleNamespace(name=name, url="http://127.0.0.1:9", public_key="key")

    def welcome(self, location: Any, peers: Mapping[str, object]) -> None:
        self.peers = peers
        self.locations.append(location)

    def dismiss(self, location: Any) -> None:
        self.locations.remove(location)

    @property
    def as_stack(self) -> ChaosStack:
        return cast("ChaosStack", self)


@pytest.fixture
def stack() -> Joined:
    return Joined()


def test_a_new_location_knows_the_one_where_it_is_entered(stack: Joined) -> None:
    join(stack.as_stack, "loc2")
    assert ("loc2", "location", "add", "loc4") in stack.asked
    assert (stack.names, stack.peers) == ([*LOCATIONS, "loc4"], {"loc2": "address"})
    assert stack.failures == []


def test_a_name_is_never_used_again(stack: Joined) -> None:
    stack.listed = [*LISTED, {"location": "loc4", "is_retired": True}]
    join(stack.as_stack, "loc1")
    assert stack.names[-1] == "loc5"


def test_one_that_cannot_be_entered_is_a_failure(stack: Joined) -> None:
    stack.code = 2
    join(stack.as_stack, "loc1")
    assert [failure.kind for failure in stack.failures] == [STUCK]
    assert stack.names == list(LOCATIONS)


def test_who_is_dismissed_is_retired(stack: Joined) -> None:
    join(stack.as_stack, "loc1")
    dismiss(stack.as_stack)
    assert stack.asked[-1] == ("loc1", "location", "retire", "loc4")
    assert stack.names == list(LOCATIONS)


def test_nobody_goes_on_without_one_that_had_joined(stack: Joined) -> None:
    refuse_absent(stack.as_stack)
    stack.listed = [*LISTED, {"location": "loc4", "is_retired": False}]
    with pytest.raises(DemoError, match="loc4"):
        refuse_absent(stack.as_stack)
