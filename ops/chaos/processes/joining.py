"""A location that is new: it is entered while all write, and stays until the next episode."""

from __future__ import annotations

import json
from typing import Any

from ops.chaos.processes.operating import do
from ops.chaos.processes.stack import ChaosStack
from ops.demo.places import LOCATIONS, DemoError


def join(stack: ChaosStack, where: str) -> None:
    """Enter a new location at one that is there, and start it.

    It has no row and knows nobody but that one. Whom else there is, and everything that was ever
    written, it has to learn: it is quiet when it has.
    """
    location = stack.new_location(f"loc{len(_listed(stack, where)) + 1}")
    add = ("location", "add", location.name, "--url", location.url, "--public-key",
           location.public_key, "--json")  # fmt: skip
    with stack.commands[where]:
        said = do(stack, where, *add)
    if said is None:
        return
    stack.welcome(location, json.loads(said)["PEERS"])


def dismiss(stack: ChaosStack) -> None:
    """Retire and end whoever is new."""
    for location in stack.locations[len(LOCATIONS) :]:
        do(stack, LOCATIONS[0], "location", "retire", location.name)
        stack.dismiss(location)


def refuse_absent(stack: ChaosStack) -> None:
    """Refuse to go on with a run that was ended while a location was new: nobody starts it again.

    Raises a ``DemoError``.
    """
    known = {line["location"] for line in _listed(stack, LOCATIONS[0]) if not line["is_retired"]}
    if absent := sorted(known - set(stack.names)):
        raise DemoError(f"{', '.join(absent)} had joined when the run was ended: begin it anew.")


def _listed(stack: ChaosStack, where: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(
        stack.manage(where, "location", "list", "--json").stdout
    )["locations"]
    return listed
