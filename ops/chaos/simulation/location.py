"""One location: its database, its clock, its processes, how each of them dies and comes back."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.db import OperationalError
from django.test import RequestFactory
from psycopg import OperationalError as PostgresError

from consumers.urls import urlpatterns
from events import chain
from events.errors import WrongCursor
from events.kafka import Undelivered
from events.relay import Relay
from events.sequencer import Sequencer
from events.streams import own_key
from ops.chaos.simulation.clocks import SECOND, Clock
from ops.chaos.simulation.disks import Disk
from ops.chaos.simulation.lines import ADDRESS, Question
from ops.chaos.simulation.processes import ConsumerProcess
from ops.chaos.simulation.seams import Crashed, Seam, SeamedDatabase
from ops.chaos.simulation.stage import DATABASE, PRESENT, Stage
from tests.environment import test_key

WEB, SEQUENCER, CONSUMER, ZOMBIE = PROCESSES = ("web", "sequencer", "consumer", "zombie")
OBSERVER = "observer"  # reads for those who test; it is never struck
# Each thread has a connection of its own; a second worker answers while the first one waits.
THREADS = {
    "web": WEB, "worker": WEB, "sequencer": SEQUENCER, "relay": SEQUENCER, "apply": CONSUMER,
    "contact": CONSUMER, "other contact": CONSUMER, "digest": CONSUMER, "zombie": ZOMBIE,
    OBSERVER: OBSERVER,
}  # fmt: skip
# Who holds a lock does not go on while another waits for it. Plans do not depend on what a
# connection was used for before.
SESSION = "-c lock_timeout=20 -c plan_cache_mode=force_generic_plan"
# What a loop logs and tries again; anything else is a fault of the product.
EXPECTED = (OperationalError, PostgresError, Undelivered, WrongCursor)
ROUTES: Mapping[str, Any] = {f"/sync/{each.pattern}": each.callback for each in urlpatterns}


class Location:
    """One location of the simulation."""

    def __init__(
        self, name: str, others: Sequence[str], disk: Disk, stage: Stage, clock: Clock,
        *, has_kafka: bool,
    ) -> None:  # fmt: skip
        self.name, self.disk, self.clock, self._stage = name, disk, clock, stage
        self.release = PRESENT
        self.settings: Mapping[str, Any] = {
            "LOCATION_ID": name,
            "LOCATION_KEY": key_of(name),
            "PEERS": {o: {"url": ADDRESS.format(o), "public_key": public_key(o)} for o in others},
            "KAFKA_BOOTSTRAP": "simulated:9092" if has_kafka else "",
        }
        self.seams = {process: Seam() for process in (*PROCESSES, OBSERVER)}
        self.databases: dict[str, SeamedDatabase] = {}
        self.sequencer: Sequencer
        self.relay: Relay  # where there is no Kafka it never takes a step
        self.consumer: ConsumerProcess
        self._asked: set[str] = set()  # peers whose contact is in the middle of a step

    def start(self) -> None:
        """Start all processes."""
        for process in self.seams:
            self.restart(process)

    def restart(self, process: str) -> None:
        """Start a process anew: nothing it had in memory is there any more."""
        self.disconnect(process)
        self.seams[process].revive()
        for thread in self._threads(process):
            self.databases[thread] = self._database(self.seams[process])
        with self.on(self._threads(process)[0]):
            if process == SEQUENCER:
                self.sequencer = Sequencer(self.name, own_key(), threading.Event())
                self.relay = Relay(self.name, settings.KAFKA_BOOTSTRAP, threading.Event())
            elif process == CONSUMER:
                self.consumer = ConsumerProcess(self._apply, self._meanwhile)

    def stop(self) -> None:
        """End all processes."""
        for process in self.seams:
            self.disconnect(process)

    def disconnect(self, process: str) -> None:
        """Close the connections of a process."""
        self.seams[process].is_dead = False
        if process == SEQUENCER and hasattr(self, "sequencer"):
            self.sequencer.close()
        for thread in self._threads(process):
            if thread in self.databases:
                self.databases[thread].close()

    @contextmanager
    def on(self, thread: str) -> Iterator[None]:
        """Be this location, in that thread."""
        with self._stage.at(self, self.databases[thread]):
            yield

    def is_free(self, thread: str) -> bool:
        """Whether this thread is not in the middle of something."""
        return not self._stage.is_busy(self.databases[thread])

    def free_worker(self) -> str | None:
        """Return a thread of the web server that has nothing to do."""
        return next((thread for thread in self._threads(WEB) if self.is_free(thread)), None)

    def run(self, thread: str, work: Callable[[], object]) -> str:
        """Let a thread do something, as a loop does; return what became of it.

        A process that is struck is gone, and starts again when all its threads have noticed. So
        does one that waits for another in whose middle it was struck: nobody can say any more
        what it would have done.
        """
        process = THREADS[thread]
        try:
            said = self._looped(thread, work)
            self.seams[process].finished()
        except Crashed as crash:
            if not all(self.is_free(each) for each in self._threads(process)):
                raise
            self.restart(process)
            if crash.seam is not self.seams[process]:
                raise
            return "crashed"
        return said

    def _looped(self, thread: str, work: Callable[[], object]) -> str:
        try:
            with self.on(thread):
                work()
        except EXPECTED as exc:
            self.databases[thread].close()
            recover = {
                "sequencer": self.sequencer.close,
                "relay": self.relay.close,
                "apply": self.consumer.recover,
            }
            recover.get(thread, _nothing)()
            return type(exc).__name__
        return "done"

    def step(self, thread: str) -> str:
        """Let a thread take a step of its loop; return what became of it."""
        return self.turn(thread)[0]

    def turn(self, thread: str) -> tuple[str, bool]:
        """Let a thread take a step; return what became of it, and whether there was anything."""
        steps: dict[str, Callable[[], bool]] = {
            "sequencer": self.sequencer.step,
            "apply": self.consumer.step,
            "relay": self.relay.step if self.settings["KAFKA_BOOTSTRAP"] else lambda: False,
            "digest": self.consumer.compare,
        }
        found: list[bool] = []
        said = self.run(thread, lambda: found.append(steps[thread]()))
        return said, any(found)

    def ask(self, peer: str) -> str:
        """Let the contact with a peer take a step, also while another one waits."""
        thread = "contact" if self.is_free("contact") else "other contact"
        if peer in self._asked or not self.is_free(thread):
            return "is busy"
        self._asked.add(peer)
        try:
            return self.run(thread, lambda: self.consumer.ask(peer))
        finally:
            self._asked.discard(peer)

    def answer(self, question: Question) -> tuple[int, bytes]:
        """Answer another location; status 500 if something is wrong here."""
        headers = {n: v for n, v in question.headers.items() if n not in ("host", "connection")}
        request = RequestFactory().generic(
            question.method, f"{question.path}?{question.query}", question.body,
            headers=headers, content_type="application/json",
        )  # fmt: skip
        answers: list[Any] = []
        thread = self.free_worker()
        if thread is None:
            return 503, b""
        if self.run(thread, lambda: answers.append(ROUTES[question.path](request))) != "done":
            return 500, b""
        return answers[0].status_code, answers[0].content

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return what a query finds here."""
        with self.on(OBSERVER), self.databases[OBSERVER].cursor() as cursor:
            cursor.execute(query, values)
            found: list[tuple[Any, ...]] = cursor.fetchall()
            return found

    def _apply(self) -> None:
        """Let the applying thread take a step while another of its process waits for it."""
        if not self.is_free("apply"):
            raise OperationalError("the thread that applies waits, too")
        self._looped("apply", self.consumer.step)

    def _meanwhile(self, seconds: float) -> None:
        self.clock.true.go_on(int(seconds * SECOND))
        if self.is_free("apply"):
            self._apply()

    def _threads(self, process: str) -> list[str]:
        return [thread for thread, its in THREADS.items() if its == process]

    def _database(self, seam: Seam) -> SeamedDatabase:
        parts = urlsplit(self.disk.urls.application)
        described = deepcopy(settings.DATABASES[DATABASE])
        described.update(
            NAME=unquote(parts.path[1:]), USER=unquote(parts.username or ""),
            PASSWORD=unquote(parts.password or ""), HOST=parts.hostname, PORT=parts.port,
            OPTIONS={"options": SESSION},
        )  # fmt: skip
        made = SeamedDatabase(described, DATABASE)
        made.seam, made.spare = seam, self.disk.spare
        return made


def _nothing() -> None:
    pass


def key_of(name: str) -> str:
    """Return the key a location signs with, in base64."""
    return test_key(f"location {name}")


def public_key(name: str) -> str:
    """Return the public key of a location, in base64."""
    return base64.b64encode(chain.public_key(base64.b64decode(key_of(name)))).decode()
