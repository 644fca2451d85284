"""What happens in a demo, from nothing to three locations that hold the same people."""

from __future__ import annotations

import http.client
import sys
import time
from collections.abc import Generator, Iterator
from typing import Final

from ops.demo.entering import PEOPLE, enter, is_entered
from ops.demo.locations import Location
from ops.demo.places import DemoError, Places
from ops.demo.report import report, wait_until_equal
from ops.demo.screen import Screen
from ops.demo.stack import Stack
from ops.demo.tasks import Task, run_all
from ops.processes import command_of

READY_SECONDS: Final = 60.0


def tell(places: Places, stack: Stack, screen: Screen) -> Generator[None, None, None]:
    """Go through the demo's steps; yield whenever something has to be waited for.

    1. The broker, the links and the databases.
    2. Tables, genesis events, members.
    3. The locations' processes; wait until their pages answer.
    4. Enter the people, a third at each location, unless that was done before.
    5. Wait until all three hold the same; say so.
    """
    begun = time.monotonic()
    stack.start_network()  # 1
    screen.line(f"The broker answers at {stack.bootstrap}" if stack.bootstrap else "No broker")
    for location in stack.locations:
        stack.start_database(location)
        screen.line(f"{location.name} postgres runs at 127.0.0.1:{location.cluster.port}")
        yield
    stack.write_environments()
    screen.line("Making the tables …")  # 2
    yield from run_all([preparation(stack, location) for location in stack.locations])
    for location in stack.locations:  # 3
        stack.start_processes(location)
        screen.line(f"{location.name} web, sequencer, consumer and metrics are started")
        yield
    yield from _wait_until_ready(stack)
    least = 0 if is_entered(places) else PEOPLE  # who comes back may have deleted some
    entered = yield from enter(places, stack, screen)  # 4
    standings = yield from wait_until_equal(stack, screen, least)  # 5
    stack.tell_tools()
    report(stack, screen, entered, standings)
    screen.line(f"Ready after {time.monotonic() - begun:.0f} s. Ctrl-C ends everything.")


def preparation(stack: Stack, location: Location) -> Task:
    """Make the tables and members, as the one-shot container does before the others start."""
    child = {**stack.child(location, is_owner=True), "PYTHON": sys.executable}
    command = command_of("migrate")
    return Task(location.name, ["migrate"], child, location.directory, command)


def _wait_until_ready(stack: Stack) -> Iterator[None]:
    waiting = list(stack.locations)
    deadline = time.monotonic() + READY_SECONDS
    while waiting:
        waiting = [location for location in waiting if not is_ready(location.web_port)]
        if waiting and time.monotonic() > deadline:
            raise DemoError(
                f"{waiting[0].name}'s pages do not answer; see {waiting[0].directory / 'web.log'}."
            )
        yield


def is_ready(port: int) -> bool:
    """Whether the pages at a port of this machine answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
