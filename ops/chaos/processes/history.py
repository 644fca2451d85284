"""What clients sent and what they were told, in a file as it happens: the oracle of a run."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import uuid4

import httpx

ACKNOWLEDGED, REFUSED, UNKNOWN = OUTCOMES = ("acknowledged", "refused", "unknown")
LOST, PHANTOM, DIVERGENT, STUCK = FAILURES = ("lost", "phantom", "divergent", "stuck")
MISTAKEN: Final = "wrongly refused"
# The record is not here yet, is closed, or has changed since it was read.
EXPECTED_REFUSALS: Final = frozenset({None, 404, 409, 412})


class Failure(NamedTuple):
    """Something that has to hold does not; the sentence names no value."""

    kind: str
    sentence: str


def came_of(ask: Callable[[], httpx.Response]) -> tuple[str, httpx.Response | None]:
    """Send a request that writes; return the outcome as its client sees it, and the answer."""
    try:
        answer = ask()
    except (httpx.ConnectError, httpx.ConnectTimeout):
        return REFUSED, None  # it was never sent
    except httpx.HTTPError:
        return UNKNOWN, None
    # An error may come after the commit.
    error = UNKNOWN if answer.is_server_error else REFUSED
    return ACKNOWLEDGED if answer.is_success else error, answer


def whole_lines(path: Path) -> list[Any]:
    """Return the lines of a file of JSON; one that a crash has torn is taken off its end."""
    text = path.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    if len(whole) < len(text):
        path.write_bytes(whole)
    return [json.loads(line) for line in whole.splitlines()]


@dataclass(slots=True)
class Write:
    """One request that writes, as its client sees it: which groups of which records become what.

    ``uids`` are known afterwards where the location chooses them. Requests of one ``intent`` are
    the same wish said again. What is ``optional`` may be so already, and is no event then.
    """

    location: str
    method: str
    path: str
    uids: tuple[str, ...]
    wanted: Mapping[str, Any]
    intent: str
    is_optional: bool = False
    request_id: str = field(default_factory=lambda: uuid4().hex)
    outcome: str = UNKNOWN
    status: int | None = None  # None: there was no answer


class History:
    """All writes by their request's id, in the order in which they were sent."""

    def __init__(self, path: Path) -> None:
        self.writes: dict[str, Write] = {}
        self.failures: list[Failure] = []  # that clients came upon
        self._lock = threading.Lock()
        if path.exists():
            self._read(whole_lines(path))
        self._file = path.open("a", encoding="utf-8")

    def sent(self, write: Write) -> None:
        """Note a write before it leaves."""
        with self._lock:
            self.writes[write.request_id] = write
            self._keep({"sent": asdict(write)})

    def ended(self, write: Write, outcome: str, status: int | None) -> None:
        """Note what the client was told, or that it gave up."""
        with self._lock:
            write.outcome, write.status = outcome, status
            said = {"outcome": outcome, "status": status, "uids": write.uids}
            self._keep({"ended": write.request_id, **said})

    def failed(self, kind: str, sentence: str) -> None:
        """Note what a client saw and should not have."""
        with self._lock:
            self.failures.append(Failure(kind, sentence))
            self._keep({"failed": [kind, sentence]})

    def since(self, count: int) -> list[Write]:
        """Return the writes that were sent after so many others."""
        with self._lock:
            return list(islice(self.writes.values(), count, None))

    def tally(self) -> Counter[str]:
        """Return how many were sent, and how many ended how."""
        with self._lock:
            counts = Counter(write.outcome for write in self.writes.values())
            return Counter(sent=len(self.writes)) + counts

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _keep(self, line: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def _read(self, lines: Iterable[Mapping[str, Any]]) -> None:
        for line in lines:
            if "sent" in line:
                said = line["sent"]
                write = Write(**{**said, "uids": tuple(said["uids"])})
                self.writes[write.request_id] = write
            elif "failed" in line:
                self.failures.append(Failure(*line["failed"]))
            else:
                write = self.writes[line["ended"]]
                write.outcome, write.status = line["outcome"], line["status"]
                write.uids = tuple(line["uids"])
