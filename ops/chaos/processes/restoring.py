"""A location that loses its database and is brought back to an earlier moment from a backup."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql

from ops.chaos.processes.history import STUCK, Failure
from ops.chaos.processes.quiet import standing
from ops.chaos.processes.stack import ChaosStack, everywhere
from ops.demo.locations import DATABASE
from ops.demo.parts import Program

ARRIVED_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 0.1


def save(stack: ChaosStack, name: str) -> Path | None:
    """Save a location's database while all write; return where, None if that failed."""
    directory = stack.location(name).directory / "backup"
    shutil.rmtree(directory, ignore_errors=True)
    return directory if _backup(stack, name, "save", directory) else None


def lose_and_restore(stack: ChaosStack, name: str, directory: Path) -> None:
    """Delete a location's database and bring the backup back; its processes start again.

    What no peer has by then is lost, and nobody promises more: so nobody writes at the location
    any more, and its writes reach a peer, before its other processes are killed.
    """
    web, *others = [stack.part(name, process) for process in stack.processes]
    stack.hold(web)
    web.stop()
    with stack.commands[name]:
        if _has_somebody_all(stack, name):
            for part in others:
                stack.hold(part)
                if isinstance(part, Program):
                    part.kill()
            _empty(stack, name)
            _backup(stack, name, "restore", directory)
        else:
            sentence = f"{name} is not restored: no peer has its writes"
            stack.failures.append(Failure(STUCK, sentence))
    for part in (web, *others):
        stack.release(part)


def _backup(stack: ChaosStack, name: str, word: str, directory: Path) -> bool:
    """Run ``ops.backup``; return whether it did it. That it did not is a failure."""
    done = stack.run(name, "-m", "ops.backup", word, str(directory))
    if done.returncode != 0:
        sentence = f"ops.backup {word} at {name}: {done.stderr.strip()[-300:]}"
        stack.failures.append(Failure(STUCK, sentence))
    return done.returncode == 0


def _has_somebody_all(stack: ChaosStack, name: str) -> bool:
    """Wait until one peer has all that a location has numbered, and nothing waits for a number."""
    deadline = time.monotonic() + ARRIVED_SECONDS
    while time.monotonic() < deadline:
        stack.keep_alive()
        found = everywhere(stack, lambda at: standing(stack, at))
        own = found.pop(name)
        if own is not None and own[0] == 0:
            streams = {line for line in own[2] if line.startswith(f"{name} ")}
            if any(streams <= set(peer[2]) for peer in found.values() if peer is not None):
                return True
        time.sleep(LOOK_SECONDS)
    return False


def _empty(stack: ChaosStack, name: str) -> None:
    location = stack.location(name)
    drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(DATABASE))
    with psycopg.connect(location.cluster.superuser_url(), autocommit=True) as connection:
        connection.execute(drop)
    owner, application = location.database_roles()
    location.cluster.create_role_and_database(DATABASE, owner=owner, application=application)
