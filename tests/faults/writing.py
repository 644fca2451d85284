"""Clients that write at all locations at once; what they were told is the oracle."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx

from ops.chaos.processes.history import ACKNOWLEDGED, UNKNOWN, came_of
from ops.demo.driving import DrivenDemo
from ops.demo.places import LOCATIONS

CLIENTS = 2  # at each location
SECONDS_BETWEEN = 0.5  # two writes of one client
GROUPS = ("notes", "company", "name", "surname")
ANSWER_SECONDS = 15
RECENT = 60


@dataclass(slots=True)
class Write:
    """One write as its client sees it; ``value`` is what the group has to become."""

    location: str
    method: str
    path: str
    entity_uid: str
    group: str
    value: Any
    user: str = "agent"
    request_id: str = field(default_factory=lambda: uuid4().hex)
    outcome: str = UNKNOWN
    status: int | None = None  # None: there was no answer
    at: float = 0.0  # when it was answered, or given up

    @property
    def body(self) -> Mapping[str, Any] | None:
        if self.method == "POST" and self.path == "/customers":
            return {"entity_uid": self.entity_uid, self.group: self.value}
        return {self.group: self.value} if self.method == "PATCH" else None


class History:
    """All writes of all clients, in the order in which they were sent."""

    def __init__(self) -> None:
        self.writes: list[Write] = []
        self.shared: list[str] = []  # customers that all clients change
        self._known: list[str] = []
        self._lock = threading.Lock()

    def sent(self, write: Write) -> None:
        with self._lock:
            self.writes.append(write)

    def ended(self, write: Write) -> None:
        with self._lock:
            write.at = time.monotonic()
            if write.outcome == ACKNOWLEDGED and write.path == "/customers":
                self._known.append(write.entity_uid)

    def recent(self) -> list[str]:
        """Return customers entered lately, wherever."""
        with self._lock:
            return self._known[-RECENT:] or self.shared

    def since(self, moment: float, outcome: str = ACKNOWLEDGED) -> Counter[str]:
        """Return how many writes ended so since then, by location."""
        with self._lock:
            return Counter(
                write.location
                for write in self.writes
                if write.at >= moment and write.outcome == outcome
            )


class Client:
    """Writes at one location, one write after the other."""

    def __init__(self, demo: DrivenDemo, location: str, history: History) -> None:
        self._location, self._history = location, history
        entry = demo.location(location)
        self._tokens = {name: user["token"] for name, user in entry["users"].items()}
        self._http = httpx.Client(
            base_url=f"{entry['url']}/api/v1", timeout=ANSWER_SECONDS, trust_env=False
        )
        self._dice = random.Random()
        self._own: list[str] = []
        self._closed: list[str] = []

    def run(self, stop: threading.Event) -> None:
        while not stop.wait(SECONDS_BETWEEN * self._dice.uniform(0.5, 1.5)):
            self.send(self._next())
        self._http.close()

    def send(self, write: Write) -> None:
        self._history.sent(write)
        headers = {
            "Authorization": f"Token {self._tokens[write.user]}",
            "X-Request-ID": write.request_id,
        }
        write.outcome, answer = came_of(
            lambda: self._http.request(write.method, write.path, json=write.body, headers=headers)
        )
        write.status = None if answer is None else answer.status_code
        self._history.ended(write)
        if write.outcome == ACKNOWLEDGED:
            self._remember(write)

    def _remember(self, write: Write) -> None:
        if write.path == "/customers":
            self._own.append(write.entity_uid)
        elif write.method == "DELETE":
            self._closed.append(write.entity_uid)

    def _next(self) -> Write:
        """Return a write that, if it is acknowledged, must have made an event."""
        draw = self._dice.random()
        if draw < 0.3:
            return self.entry()
        if draw < 0.7:
            return self._change(self._dice.choice(self._history.shared))
        if draw < 0.76 and self._own:
            uid = self._own.pop(self._dice.randrange(len(self._own)))
            return self._write("DELETE", uid, "deleted", True)
        if draw < 0.8 and self._closed:
            uid = self._closed.pop()
            return self._write("POST", uid, "deleted", False, "/restore", "provider")
        return self._change(self._dice.choice(self._history.recent()))

    def entry(self) -> Write:
        uid = str(uuid4())
        return Write(self._location, "POST", "/customers", uid, "surname", f"Surname {uid[:13]}")

    def _change(self, uid: str) -> Write:
        # No two values are equal: none is suppressed as being so already.
        return self._write("PATCH", uid, self._dice.choice(GROUPS), f"Text {uuid4().hex}")

    def _write(
        self, method: str, uid: str, group: str, value: Any, end: str = "", user: str = "agent"
    ) -> Write:
        path = f"/customers/{uid}{end}"
        return Write(self._location, method, path, uid, group, value, user)


@contextmanager
def everybody_writing(demo: DrivenDemo, history: History) -> Iterator[None]:
    """Write at all locations, several clients at each, as long as the block runs."""
    stop = threading.Event()
    threads = [
        threading.Thread(
            target=Client(demo, name, history).run, args=(stop,), name=f"client at {name}"
        )
        for name in LOCATIONS
        for _ in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def enter_shared(demo: DrivenDemo, history: History, count: int) -> None:
    """Enter the customers that everybody changes afterwards."""
    client = Client(demo, LOCATIONS[0], history)
    for _ in range(count):
        write = client.entry()
        client.send(write)
        assert write.outcome == ACKNOWLEDGED, write
        history.shared.append(write.entity_uid)
    stop = threading.Event()
    stop.set()
    client.run(stop)
