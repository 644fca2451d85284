"""Runs the demo: one loop that keeps every process alive and, step by step, tells the story.

A process that ends is started again; the third time within a minute the demo gives up.
"""

from __future__ import annotations

import shutil
import signal
import time
from collections import deque
from types import FrameType
from typing import Final

from ops.demo import requests, state
from ops.demo.entering import MARKER
from ops.demo.parts import Part
from ops.demo.places import (
    BROKER,
    LOCATIONS,
    DemoError,
    Places,
    check_disk,
    check_ports,
    only_one,
)
from ops.demo.screen import Screen
from ops.demo.stack import Stack
from ops.demo.story import tell
from ops.postgres import Cluster, PostgresError

TICK_SECONDS: Final = 0.1
DEATHS: Final = 3
DEATH_SECONDS: Final = 60.0
DIED: Final = 1  # exit code
END: Final = object()


def run(places: Places, *, is_fresh: bool, broker: str) -> int:
    """Run the demo until it is ended; return its exit code. Nothing is left running."""
    with only_one(places):
        state.end_leftovers(places)
        state.remove(places)
        requests.forget(places)
        check_ports(places)
        if is_fresh:
            forget_data(places)
        check_disk(places)
        supervisor = Supervisor(places, Screen(), Stack(places, broker=broker))
        try:
            return supervisor.run()
        finally:
            supervisor.stop()


def forget_data(places: Places) -> None:
    """Delete all locations with their databases and secrets, and what a Kafka has kept."""
    for name in LOCATIONS:
        try:
            Cluster(places.directory / name / "postgres", 0).destroy()
        except PostgresError as exc:
            raise DemoError(str(exc)) from exc
        shutil.rmtree(places.directory / name, ignore_errors=True)
    for path in places.directory.glob("kafka/data-*"):
        shutil.rmtree(path, ignore_errors=True)
    (places.directory / MARKER).unlink(missing_ok=True)


class Supervisor:
    """Starts again what dies, serves cut and heal, and goes on with the story in between."""

    def __init__(self, places: Places, screen: Screen, stack: Stack) -> None:
        self._places = places
        self._screen = screen
        self._stack = stack
        self._deaths: dict[Part, deque[float]] = {}
        self._is_ended = False
        self._story = tell(places, stack, screen)
        self._is_told = False

    def run(self) -> int:
        """Loop until a signal ends the demo (0) or a process dies too often (1)."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._end)
        while not self._is_ended:
            try:
                is_busy = self.restart_what_died() or self._serve() or self._go_on()
            except DiedTooOftenError as exc:
                self._screen.line(str(exc))
                return DIED
            if not is_busy:
                time.sleep(TICK_SECONDS)
        return 0

    def stop(self) -> None:
        """End everything; nothing is left running."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not break it off
        self._screen.line("Stopping …")
        try:
            self._story.close()
        finally:
            self._stack.stop()
            state.remove(self._places)
        self._screen.line("Everything has ended.")

    def _end(self, number: int, frame: FrameType | None) -> None:
        self._is_ended = True

    def restart_what_died(self) -> bool:
        """Start again the first process that has ended; its location's PostgreSQL comes first."""
        part = next((part for part in self._stack.parts if part.pid is None), None)
        if part is None:
            return False
        deaths = self._deaths.setdefault(part, deque(maxlen=DEATHS))
        deaths.append(time.monotonic())
        whose = f"{part.location} {part.name}" if part.location else part.name
        if len(deaths) == DEATHS and deaths[-1] - deaths[0] < DEATH_SECONDS:
            raise DiedTooOftenError(f"{whose} {part.ending()}: {DEATHS} times in a minute.")
        self._screen.line(f"{whose} {part.ending()}; starting it again")
        try:
            self._stack.start_again(part)
        except DemoError as exc:
            self._screen.line(f"{whose}: {exc}")  # it counts as having died once more
        else:
            self._screen.line(f"{whose} runs again (process {part.pid})")
        if self._is_told:
            self._stack.tell_tools()
        return True

    def _serve(self) -> bool:
        """Do what another command has asked for."""
        asked = requests.take(self._places)
        if asked is None or not self._is_told:
            return False
        word, name = asked
        self._set_cut(name, is_cut=word == "cut")
        self._stack.tell_tools()
        requests.done(self._places)
        return True

    def _set_cut(self, name: str, *, is_cut: bool) -> None:
        if name == BROKER:
            self._stack.set_broker_away(is_away=is_cut)
            self._screen.line("The broker stays away" if is_cut else "The broker is wanted again")
            return
        location = self._stack.location(name)
        if location.is_cut is not is_cut:
            self._stack.set_cut(location, is_cut=is_cut)
            self._screen.line(f"{name} is {'cut off from' if is_cut else 'back among'} the others")

    def _go_on(self) -> bool:
        """Take one step of the story; when it is told, tools may find the demo."""
        if not self._is_told:
            self._is_told = next(self._story, END) is END
        return False


class DiedTooOftenError(DemoError):
    """A process keeps dying."""
