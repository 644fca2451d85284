"""What a demo prints when the three locations hold the same: numbers, addresses, logins."""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Mapping, Sequence
from typing import Any, Final

from ops.demo.entering import Entered, count
from ops.demo.locations import Location
from ops.demo.screen import Screen
from ops.demo.stack import Stack
from ops.demo.tasks import Task, run_all

PATIENCE_SECONDS: Final = 300.0
LOOK_SECONDS: Final = 0.5

Status = Mapping[str, Any]


def equal_statuses(
    stack: Stack, screen: Screen, entered: Entered
) -> Generator[None, None, Mapping[str, Status]]:
    """Wait until all locations hold the same; return the status of each."""
    yield
    return {}


def report(
    stack: Stack, screen: Screen, entered: Entered, statuses: Mapping[str, Status]
) -> None:
    """Print what each location holds, where it is and who may sign in."""
