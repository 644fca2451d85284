"""A run: episode after episode, each ended by a check, and in the end a restart of everything."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from ops.chaos.processes import joining, tables
from ops.chaos.processes.batches import Importer
from ops.chaos.processes.checks import Checker
from ops.chaos.processes.episodes import Episode, episode, play
from ops.chaos.processes.faults import DISK_FULL, JOINED, KINDS, OPERATED
from ops.chaos.processes.going_on import Arrivals, interrupted
from ops.chaos.processes.history import ACKNOWLEDGED, STUCK, Failure, History
from ops.chaos.processes.quiet import PATIENCE_SECONDS, wait_until_quiet
from ops.chaos.processes.report import Report, described
from ops.chaos.processes.stack import LOOK_SECONDS, ChaosStack
from ops.chaos.processes.writing import CLIENTS, Client, Records, everybody_writing
from ops.demo.places import LOCATIONS, DemoError, Places

FULL_EVERY: Final = 10  # episodes
SHARED: Final = 6  # records that everybody changes: one always, the others for some episodes
NEW_SHARED: Final = 2  # an episode
BEFORE_SECONDS: Final = 1.0  # of writing before the faults
AFTER: Final = 6  # writes that each location takes after them

Say = Callable[[str], None]


class Run:
    """Everything of one run; ``say`` is told of each episode."""

    def __init__(self, report: Report, say: Say) -> None:
        self._report, self._say = report, say
        directory = report.directory
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        places = Places(directory.absolute(), report.head["first_port"])
        self.kinds = chosen(report.head)
        self.stack = ChaosStack(places, with_disk=DISK_FULL in self.kinds)
        self.history = History(directory / "history.jsonl")
        self._counted = report.written()
        self._checker = Checker(self.stack, self.history)
        self._records = Records()
        self._dice = random.Random(f"{report.head['seed']} clients")  # they are not replayed
        self._clients: list[Client] = []

    @property
    def has_failed(self) -> bool:
        """Whether anything was found that must not be."""
        return self._report.failures().total() > 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let everything run as long as the block does."""
        log = self._report.directory / "start.log"
        try:
            with log.open("a", encoding="utf-8") as out:
                self.stack.start(out)
            if JOINED in self.kinds:
                joining.refuse_absent(self.stack)
            self._checker.begin()
            self._clients = [self._client(name) for name in LOCATIONS for _ in range(CLIENTS)]
            self._share(SHARED)
            if not self._records.hot:
                raise DemoError("The locations take no writes.")
            yield
        finally:
            self.stack.stop()
            for client in self._clients:
                client.close()
            self.history.close()

    def go_on(self, minutes: float) -> None:
        """Play episode after episode until the run is over or something has failed."""
        seed, done = self._report.head["seed"], self._report.episodes
        while not (self._is_over(minutes) or self.has_failed):
            self.play(episode(seed, len(done), self.kinds))
        if not self.has_failed:
            self.end()

    def play(self, faults: Episode) -> None:
        """Play one episode and check what has to hold afterwards."""
        begun, number = time.monotonic(), len(self._report.episodes)
        joining.dismiss(self.stack)
        self._share(NEW_SHARED)
        failures = self._break(faults, number)
        quiet_seconds, stuck = (0.0, []) if failures else wait_until_quiet(self.stack)
        failures += stuck
        checked = time.monotonic()
        is_full = number % FULL_EVERY == FULL_EVERY - 1
        if not failures:
            failures = self._checker.full() if is_full else self._checker.light()
        died = self.stack.take_died()
        failures += ended_by_themselves(died)
        line = {
            "number": number,
            "faults": [fault._asdict() for fault in faults],
            "seconds": round(time.monotonic() - begun, 1),
            "quiet_seconds": round(quiet_seconds, 1),
            "check": "full" if is_full else "light",
            "check_seconds": round(time.monotonic() - checked, 1),
            "died": died,
            "written": self._written(),
            "failures": described(failures),
        }
        self._report.keep(line)
        self._tell(line, failures)

    def _break(self, faults: Episode, number: int) -> list[Failure]:
        """Break things while all write, and mend them; return what did not go on as it has to."""
        begun, sent = time.monotonic(), len(self.history.writes)
        dice = random.Random(f"{self._report.head['seed']} {number} files")
        importer = Importer(self.stack, self.history, self._records, self._report.directory, dice)
        arrivals = Arrivals(self.stack, faults)
        with everybody_writing([*self._clients, importer]):
            self._let_write(BEFORE_SECONDS)
            play(self.stack, faults, arrivals.look)
            found, self.stack.failures = self.stack.failures, []
            with self._new_ones_writing():
                failures = found or self._recover() or self._wait_for_writes()
            seconds = time.monotonic() - begun
        noticed = interrupted(faults, self.history.since(sent), seconds)
        return [*failures, *arrivals.failures(), *noticed]

    def end(self) -> None:
        """Check everything once more, restart everything, and see that no byte has changed."""
        begun = time.monotonic()
        failures: Sequence[Failure] = self._checker.full()
        before, _ = tables.compare(self.stack)
        if not failures:
            self.stack.restart()
            _, failures = wait_until_quiet(self.stack)
        if not failures:
            after, failures = tables.compare(self.stack)
            failures = [*failures, *tables.changed(before, after)]
        died = self.stack.take_died()
        failures = [*failures, *ended_by_themselves(died)]
        line = {
            "seconds": round(time.monotonic() - begun, 1),
            "died": died,
            "rows": {table: count for table, (count, _) in before.items()},
            "written": self._written(),
            "failures": described(failures),
        }
        self._report.end(line)
        self._tell_failures(failures)

    def _is_over(self, minutes: float) -> bool:
        """Whether each kind has led as many episodes as asked for, or else the time is over."""
        if times := self._report.head.get("times", 0):
            return bool(len(self._report.episodes) >= times * len(self.kinds))
        return bool(self._report.seconds >= minutes * 60)

    def _client(self, name: str) -> Client:
        users = self.stack.location(name).users
        tokens = {user: said["token"] for user, said in users.items()}
        at = (name, self.stack.address_of(name))
        return Client(at, tokens, self.history, self._records, self._dice)

    @contextmanager
    def _new_ones_writing(self) -> Iterator[None]:
        """Let clients write at new locations, too, as long as the block runs."""
        clients = [self._client(name) for name in self.stack.names[len(LOCATIONS) :]]
        if not clients:
            yield
            return
        with everybody_writing(clients):
            yield
        for client in clients:
            client.close()

    def _share(self, count: int) -> None:
        """Let everybody change some new records; they reach the others in their time."""
        hot = self._records.hot
        for _ in range(count):
            uid = self._dice.choice(self._clients).enter()
            hot.extend([uid] if uid else [])
        del hot[1 : max(len(hot) - SHARED + 1, 1)]

    def _recover(self) -> list[Failure]:
        """Wait until every process runs again."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.stack.keep_alive():
            if time.monotonic() > deadline:
                dead = [f"{p.location} {p.name}" for p in self.stack.parts if p.pid is None]
                return [Failure(STUCK, f"cannot be started again: {dead}")]
            time.sleep(LOOK_SECONDS)
        return []

    def _wait_for_writes(self) -> list[Failure]:
        """Wait until every location takes writes again."""
        sent = len(self.history.writes)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            writes = self.history.since(sent)
            taken = Counter(w.location for w in writes if w.outcome == ACKNOWLEDGED)
            if all(taken[name] >= AFTER for name in self.stack.names):
                return []
            if time.monotonic() > deadline:
                return [Failure(STUCK, f"not all take writes again: {dict(taken)}")]
            self.stack.keep_alive()
            time.sleep(LOOK_SECONDS)

    def _let_write(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.stack.keep_alive()
            time.sleep(LOOK_SECONDS)

    def _written(self) -> dict[str, int]:
        """Return how many writes ended how since this was asked last."""
        now = self.history.tally()
        since = Counter(now)
        since.subtract(self._counted)
        self._counted = now
        return dict(since)

    def _tell(self, line: dict[str, Any], failures: Iterable[Failure]) -> None:
        kinds = ", ".join(f"{f['kind']} ({f['where']})" for f in line["faults"])
        self._say(
            f"episode {line['number']}: {kinds}: {line['written'].get('acknowledged', 0)} of"
            f" {line['written'].get('sent', 0)} writes acknowledged,"
            f" quiet after {line['quiet_seconds']} s, {line['seconds']} s in all"
        )
        self._tell_failures(failures)

    def _tell_failures(self, failures: Iterable[Failure]) -> None:
        for kind, sentence in failures:
            self._say(f"  {kind}: {sentence}")


def chosen(head: Mapping[str, Any]) -> list[str]:
    """Return the kinds of faults of a run that begins with these words."""
    asked = head.get("only") or [kind for kind in KINDS if kind not in OPERATED]
    return [kind for kind in asked if kind not in head["skipped"]]


def ended_by_themselves(died: Iterable[str]) -> list[Failure]:
    """Return a failure for each process that has ended by itself: whatever is broken, none does."""
    return [Failure(STUCK, f"ended by itself: {sentence}") for sentence in died]
