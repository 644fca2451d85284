"""Clients that write at all locations at once, and look at what they were promised."""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from uuid import uuid4

import httpx

from ops.chaos.processes.history import (
    ACKNOWLEDGED,
    DIVERGENT,
    LOST,
    REFUSED,
    UNKNOWN,
    History,
    Write,
    came_of,
)

CLIENTS: Final = 3  # at each location
PAUSE_SECONDS: Final = (0.1, 0.5)  # between two writes of one client
SORRY_SECONDS: Final = 0.5  # more after one that failed
ANSWER_SECONDS: Final = 5.0
GROUPS: Final = ("notes", "company", "name", "surname")
RECENT: Final = 60


@dataclass
class Records:
    """Records that all clients know: few that everybody changes, and those entered lately."""

    hot: list[str] = field(default_factory=list)
    recent: deque[str] = field(default_factory=lambda: deque(maxlen=RECENT))
    batches: deque[tuple[str, ...]] = field(default_factory=lambda: deque(maxlen=6))


class Client:
    """Writes at one location, one write after the other; ``tokens`` by user."""

    def __init__(
        self,
        at: tuple[str, str],
        tokens: Mapping[str, str],
        history: History,
        records: Records,
        dice: random.Random,
    ) -> None:
        self._location, address = at
        self._tokens, self._history, self._records, self._dice = tokens, history, records, dice
        self._http = httpx.Client(
            base_url=f"{address}/api/v1", timeout=ANSWER_SECONDS, trust_env=False
        )
        self._own: list[str] = []  # that others may change, but only this one closes
        self._closed: list[str] = []
        self._private: list[str] = []  # that nobody else knows

    def run(self, stop: threading.Event) -> None:
        """Write until told to stop."""
        while not stop.wait(self._dice.uniform(*PAUSE_SECONDS)):
            if not self._act():
                stop.wait(SORRY_SECONDS)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def enter(self) -> str | None:
        """Enter a customer whose uid is the client's choice; return it, None if it may not be."""
        uid = str(uuid4())
        write = self._write("POST", "/customers", (uid,), {"surname": f"Surname {uid[:13]}"})
        self._send(write, {"entity_uid": uid, **write.wanted})
        return uid if write.outcome == ACKNOWLEDGED else None

    def _act(self) -> bool:
        """Do one thing; return whether it came out well."""
        draw = self._dice.random()
        if draw < 0.22:
            return self._enter_one()
        if draw < 0.50:
            return self._change(self._dice.choice(self._records.hot), self._dice.random() < 0.4)
        if draw < 0.55:
            return self._turn(self._dice.choice(self._records.hot))
        if draw < 0.61 and self._own:
            return self._close(self._own.pop(self._dice.randrange(len(self._own))))
        if draw < 0.65 and self._closed:
            return self._open(self._closed.pop(), is_optional=False)
        if draw < 0.80 and self._private:
            return self.change_and_look(self._dice.choice(self._private[-RECENT:]))
        if draw < 0.85 and self._records.batches:
            return self._look_at(self._dice.choice(list(self._records.batches)))
        known = list(self._records.recent) or self._records.hot
        return self._change(self._dice.choice(known), False)

    def _enter_one(self) -> bool:
        draw = self._dice.random()
        if draw < 0.3:
            return self._enter_with_key()
        uid = self.enter()
        if uid is None:
            return False
        if draw < 0.6:
            self._private.append(uid)
        else:
            self._own.append(uid)
            self._records.recent.append(uid)
        return True

    def _enter_with_key(self) -> bool:
        """Enter a customer by an idempotency key; say it again if unsure, or for no reason."""
        key, text = uuid4().hex, f"Surname {uuid4().hex[:13]}"
        for _ in range(3):
            write = self._write("POST", "/customers", (), {"surname": text}, intent=key)
            answer = self._send(write, dict(write.wanted), {"Idempotency-Key": key})
            if write.outcome == REFUSED:
                return False
            if answer is not None and write.outcome == ACKNOWLEDGED:
                self._records.recent.append(str(answer["entity_uid"]))
                if self._dice.random() < 0.7:
                    return True
        return write.outcome == ACKNOWLEDGED

    def _change(self, uid: str, with_if_match: bool) -> bool:
        # No two values are equal: none is suppressed as being so already.
        groups = self._dice.sample(GROUPS, self._dice.choice((1, 1, 1, 2, 3)))
        headers = {}
        if with_if_match:
            etag = self._etag(uid)
            if etag is None:
                return False
            headers = {"If-Match": etag}
        wanted = {group: f"Text {uuid4().hex}" for group in groups}
        write = self._write("PATCH", f"/customers/{uid}", (uid,), wanted)
        self._send(write, dict(wanted), headers)
        return write.outcome != UNKNOWN

    def change_and_look(self, uid: str) -> bool:
        """Change a record that nobody else knows, and read at once what was written (I7)."""
        group = self._dice.choice(GROUPS)
        write = self._write("PATCH", f"/customers/{uid}", (uid,), {group: f"Text {uuid4().hex}"})
        self._send(write, dict(write.wanted))
        if write.outcome == ACKNOWLEDGED and self._is_lost(uid, group, write.wanted[group]):
            self._history.failed(LOST, f"I7: {write.request_id} cannot be read where it was made")
        return write.outcome == ACKNOWLEDGED

    def _is_lost(self, uid: str, group: str, value: str) -> bool:
        answer = self._get(f"/customers/{uid}")
        return answer is not None and (not answer.is_success or answer.json().get(group) != value)

    def _look_at(self, batch: Sequence[str]) -> bool:
        """See all of a transaction, or nothing (I7): what was read first must not be alone."""
        one, other = self._dice.sample(batch, 2)
        shown = self._status(f"/customers/{one}")
        if shown == httpx.codes.OK and self._status(f"/customers/{other}") == 404:
            sentence = f"I7: {self._location} shows {one}, but not {other} of its transaction"
            self._history.failed(DIVERGENT, sentence)
        return shown is not None

    def _turn(self, uid: str) -> bool:
        """Close a record that others may close, too, or open it again."""
        if self._dice.random() < 0.3:
            return self._close(uid, is_optional=True) and self._open(uid, is_optional=True)
        return self._open(uid, is_optional=True)

    def _close(self, uid: str, *, is_optional: bool = False) -> bool:
        wanted = {"deleted": True}
        path = f"/customers/{uid}"
        write = self._write("DELETE", path, (uid,), wanted, is_optional=is_optional)
        self._send(write, None)
        if write.outcome == ACKNOWLEDGED and not is_optional:
            self._closed.append(uid)
        return write.outcome != UNKNOWN

    def _open(self, uid: str, *, is_optional: bool) -> bool:
        wanted = {"deleted": False}
        path = f"/customers/{uid}/restore"
        write = self._write("POST", path, (uid,), wanted, is_optional=is_optional)
        self._send(write, None, user="provider")
        return write.outcome != UNKNOWN

    def _write(
        self,
        method: str,
        path: str,
        uids: tuple[str, ...],
        wanted: Mapping[str, Any],
        *,
        intent: str | None = None,
        is_optional: bool = False,
    ) -> Write:
        write = Write(self._location, method, path, uids, wanted, intent or "", is_optional)
        write.intent = intent or write.request_id
        return write

    def _send(
        self,
        write: Write,
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str] | None = None,
        user: str = "agent",
    ) -> dict[str, Any] | None:
        """Send a write and note what came of it; return the answer of an acknowledged one."""
        self._history.sent(write)
        said = {
            "Authorization": f"Token {self._tokens[user]}",
            "X-Request-ID": write.request_id,
            **(headers or {}),
        }
        outcome, answer = came_of(
            lambda: self._http.request(write.method, write.path, json=body, headers=said)
        )
        found: dict[str, Any] | None = None
        if answer is not None and answer.is_success and answer.content:
            found = answer.json()
            write.uids = write.uids or (str(found["entity_uid"]),)
        self._history.ended(write, outcome, None if answer is None else answer.status_code)
        return found

    def _etag(self, uid: str) -> str | None:
        answer = self._get(f"/customers/{uid}")
        return answer.headers.get("ETag") if answer is not None and answer.is_success else None

    def _status(self, path: str) -> int | None:
        answer = self._get(path)
        return None if answer is None else answer.status_code

    def _get(self, path: str) -> httpx.Response | None:
        """Return what was answered; None for no answer and for an error, which say nothing."""
        headers = {"Authorization": f"Token {self._tokens['agent']}"}
        try:
            answer = self._http.get(path, headers=headers)
        except httpx.HTTPError:
            return None
        return None if answer.is_server_error else answer


class Writes(Protocol):
    """Who writes in a thread of its own."""

    def run(self, stop: threading.Event) -> None:
        """Write until told to stop."""


@contextmanager
def everybody_writing(clients: Sequence[Writes]) -> Iterator[None]:
    """Let all clients write as long as the block runs; none is under way afterwards."""
    stop = threading.Event()
    with ThreadPoolExecutor(len(clients)) as pool:
        running = [pool.submit(client.run, stop) for client in clients]
        try:
            yield
        finally:
            stop.set()
    for each in running:
        each.result()  # an error of theirs is one of the run
