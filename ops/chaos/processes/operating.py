"""What operators do while all write: bring a location to the next release, change its key."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from ops.chaos.processes.history import STUCK, Failure
from ops.chaos.processes.stack import LOOK_SECONDS, ChaosStack, everywhere

PATIENCE_SECONDS: Final = 60.0
NEW_KEY: Final = "new-location-key"

# The version of the newest of a location's own events of customers.
_WRITTEN: Final = """
SELECT (convert_from(raw, 'UTF8')::jsonb ->> 'schema_version')::int FROM events_event
WHERE origin = %s AND type LIKE 'customers.%%' ORDER BY ts DESC LIMIT 1
"""


def upgrade(stack: ChaosStack, name: str) -> None:
    """Bring a location to the next release while the others go on with theirs."""
    with _stopped(stack, name):
        stack.set_release(name, stack.release_of(name) + 1)
        do(stack, name, "migrate", "--verbosity", "0")


def wait_for_version(stack: ChaosStack) -> None:
    """Wait until all write the newest version, as all have said that they read it."""
    wanted = {name: stack.release_of(name) + 1 for name in stack.names}
    _wait(
        stack,
        lambda: everywhere(stack, lambda name: _written(stack, name)) == wanted,
        f"not all write version {wanted}",
    )


def _written(stack: ChaosStack, name: str) -> int:
    ((version,),) = stack.rows(name, _WRITTEN, [name])
    return int(version)


def change_key(stack: ChaosStack, name: str) -> None:
    """Change the key that a location signs with, step by step as docs/operations.md has it."""
    location = stack.location(name)
    path = location.directory / NEW_KEY
    path.unlink(missing_ok=True)
    rotate = ("location", "rotate-key")
    if not (
        do(stack, name, *rotate, "--out", str(path)) is not None  # 1
        and _wait(
            stack, lambda: _ends_well(stack, name, *rotate), f"not all know {name}'s key"
        )  # 2
    ):
        return
    with _stopped(stack, name):  # 3
        location.secrets["LOCATION_KEY"] = path.read_text(encoding="ascii").strip()
        stack.write_environments()
        path.unlink()
    finish = (*rotate, "--finish")
    _wait(stack, lambda: _ends_well(stack, name, *finish), f"{name}'s old key does not end")  # 4


@contextmanager
def _stopped(stack: ChaosStack, name: str) -> Iterator[None]:
    """Stop the processes of a location; start them afterwards, and wait until it is ready."""
    parts = [stack.part(name, process) for process in stack.processes]
    with stack.commands[name]:
        for part in parts:
            stack.hold(part)
            part.ask_to_stop()
        for part in parts:
            part.stop()
        yield
        for part in parts:
            stack.release(part)
    _wait(
        stack,
        lambda: stack.readiness(name).get("status") == "ready",
        f"{name} does not serve again",
    )


def _wait(stack: ChaosStack, is_so: Callable[[], bool], otherwise: str) -> bool:
    """Wait until something is so; return whether it is. That it never is is a failure."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (stack.keep_alive() and is_so()):
        if time.monotonic() > deadline:
            stack.failures.append(Failure(STUCK, otherwise))
            return False
        time.sleep(LOOK_SECONDS)
    return True


def _ends_well(stack: ChaosStack, name: str, *arguments: str) -> bool:
    with stack.commands[name]:
        return stack.manage(name, *arguments).returncode == 0


def do(stack: ChaosStack, name: str, *arguments: str) -> str | None:
    """Run a command that has to succeed; return what it said, None if it did not."""
    done = stack.manage(name, *arguments)
    if done.returncode != 0:
        sentence = f"{arguments[0]} at {name}: {done.stderr.strip()[-300:]}"
        stack.failures.append(Failure(STUCK, sentence))
        return None
    return done.stdout
