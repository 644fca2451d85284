"""What has to hold when all faults are over and nobody writes: a short check, and the full one."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Final

from ops.chaos.processes import oracle, people, quiet, tables
from ops.chaos.processes.history import (
    ACKNOWLEDGED,
    DIVERGENT,
    LOST,
    STUCK,
    Failure,
    History,
    Write,
)
from ops.chaos.processes.judging import REGISTRY, Made, judge
from ops.chaos.processes.stack import ChaosStack, everywhere
from ops.demo.places import LOCATIONS

EQUAL_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 0.5
GENESIS: Final = "genesis"

# Events by their numbers: those of a stream beyond the last one looked at.
_LOG: Final = """
SELECT n.origin, n.epoch, n.seq, convert_from(e.raw, 'UTF8')
FROM events_eventnumber n JOIN events_event e USING (event_id)
WHERE n.seq > coalesce((%(seen)s::jsonb ->> concat_ws(' ', n.origin, n.epoch))::bigint, 0)
"""
_IDS: Final = "SELECT event_id::text FROM events_event"
# Streams that are not 1, 2, 3 …, each number an event.
_GAPS: Final = """
SELECT origin, epoch FROM events_eventnumber GROUP BY origin, epoch
HAVING (min(seq), max(seq), count(event_id)) <> (1, count(*), count(*))
"""


class Checker:
    """Checks after each episode what came since the last one; now and then, everything."""

    def __init__(self, stack: ChaosStack, history: History) -> None:
        self._stack, self._history = stack, history
        self._seen: dict[str, int] = {}  # last number looked at, by stream
        self._log: list[Made] = []
        self._kafka = ""  # which cluster
        self._since: Mapping[str, int] = {}  # what is numbered beyond must be in it
        self._turn = 0

    def begin(self) -> None:
        """Read what is there before clients write."""
        self._read_on()
        self._look_at_kafka()

    def light(self) -> list[Failure]:
        """Check that all locations hold the same, and that it is what clients were told."""
        _, failures = tables.compare(self._stack)
        self._read_on()
        self._look_at_kafka()
        gaps = self._stack.rows(LOCATIONS[0], _GAPS)
        failures += [Failure(LOST, f"I6: {at} {epoch} has a gap") for at, epoch in gaps]
        writes = list(self._history.writes.values())
        failures += judge(writes, self._log)
        return [*failures, *self._lost_somewhere(failures), *self._history.failures]

    def full(self) -> list[Failure]:
        """Check all invariants, each in the way that people would, and by the oracle."""
        failures = self.light()
        failures += self._standing()
        for of_one in everywhere(self._stack, self._by_commands).values():
            failures += of_one
        failures += people.check(self._stack, list(self._history.writes.values()))
        self._turn += 1
        name = LOCATIONS[self._turn % len(LOCATIONS)]
        return [*failures, *self._in_topics(name), *self._by_oracle(name)]

    def _read_on(self) -> None:
        """Read the events numbered since; that all locations have the same is seen elsewhere."""
        rows = self._stack.rows(LOCATIONS[0], _LOG, {"seen": json.dumps(self._seen)})
        for origin, epoch, seq, raw in rows:
            stream = f"{origin} {epoch}"
            self._seen[stream] = max(self._seen.get(stream, 0), seq)
            document = json.loads(raw)
            if not document["type"].startswith(REGISTRY):
                self._log.append(_made(document))

    def _look_at_kafka(self) -> None:
        """Expect nothing that was numbered before of a Kafka that has begun anew."""
        cluster = self._stack.kafka.cluster_id
        if cluster != self._kafka:
            self._kafka, self._since = cluster, dict(self._seen)

    def _lost_somewhere(self, failures: Iterable[Failure]) -> list[Failure]:
        """Return the acknowledged writes whose events are not everywhere, where sets differ."""
        if not any("events_event " in failure.sentence for failure in failures):
            return []
        ids = everywhere(self._stack, lambda name: {uid for (uid,) in self._stack.rows(name, _IDS)})
        writes = self._history.writes.values()
        acknowledged = {w.request_id for w in writes if w.outcome == ACKNOWLEDGED}
        everything = {uid for found in ids.values() for uid in found}
        missing = {uid for found in ids.values() for uid in everything - found}
        return [
            Failure(LOST, f"I2: event {made.event_id} of {made.origin} is not everywhere")
            for made in self._log
            if made.event_id in missing and made.request_id in acknowledged
        ]

    def _standing(self) -> list[Failure]:
        """Check that every location comes to know that it is where all others are (I10)."""
        deadline = time.monotonic() + EQUAL_SECONDS
        agree = partial(quiet.do_digests_agree, self._stack)
        while not all(everywhere(self._stack, agree).values()):
            if time.monotonic() > deadline:
                return [Failure(DIVERGENT, "I1: the state digests do not come to agree")]
            time.sleep(LOOK_SECONDS)
        deadline = time.monotonic() + EQUAL_SECONDS
        while True:
            found = everywhere(self._stack, self._stack.status)
            if all(_is_settled(status) for status in found.values()):
                break
            if time.monotonic() > deadline:
                names = ("state", "lag_events", "unreplicated")
                said = {at: [status.get(name) for name in names] for at, status in found.items()}
                return [Failure(STUCK, f"I10: sync_status does not come to say equal: {said}")]
        if len({(s["digest"], s["conflicts"]) for s in found.values()}) > 1:
            return [Failure(DIVERGENT, "I1: states or numbers of conflicts differ")]
        return []

    def _by_commands(self, name: str) -> list[Failure]:
        """Let the commands fold everything again (I5) and check the chains (I6)."""
        folded = self._stack.manage(name, "rebuild", "--dry-run", "--json")
        chains = self._stack.manage(name, "verify_chain", "--json")
        failures = []
        if folded.returncode != 0:
            said = _said(folded.stdout)
            what = {key: said.get(key) for key in ("differing", "parked")} or folded.stderr[-300:]
            failures.append(Failure(DIVERGENT, f"I5: rebuild at {name}: {what}"))
        if chains.returncode != 0:
            wrong = [s for s in _said(chains.stdout).get("streams", []) if s["wrong"]]
            failures.append(
                Failure(DIVERGENT, f"I6: verify_chain at {name}: {wrong or chains.stderr[-300:]}")
            )
        return failures

    def _in_topics(self, name: str) -> Iterator[Failure]:
        """Compare what Kafka holds with what a location holds."""
        done = self._stack.run(name, "-m", "ops.chaos.processes.topics", json.dumps(self._since))
        if done.returncode != 0:
            yield Failure(DIVERGENT, f"the topics are not read at {name}: {done.stderr[-300:]}")
        for sentence in done.stdout.splitlines():
            yield Failure(DIVERGENT, sentence)

    def _by_oracle(self, name: str) -> Iterator[Failure]:
        """Compare with the second fold, and every value with what its client sent."""
        done = self._stack.run(name, "-m", "ops.chaos.processes.oracle")
        if done.returncode != 0:
            yield Failure(DIVERGENT, f"the oracle failed at {name}: {done.stderr[-300:]}")
            return
        made = []
        for kind, said in oracle.read(done.stdout):
            if kind == oracle.WRONG:
                yield Failure(DIVERGENT, said)
            elif said["origin"] != GENESIS:
                made.append(Made(**said))
        writes: list[Write] = list(self._history.writes.values())
        yield from judge(writes, made, is_open=True)


def _made(document: Mapping[str, Any]) -> Made:
    """Return an event as its raw bytes tell it: personal values are not in them."""
    return Made(
        document["event_id"],
        document["request_id"],
        document["origin"],
        document["entity_uid"],
        document["tx"],
        document["tx_size"],
        dict.fromkeys(document["set"]),
    )


def _is_settled(status: Mapping[str, Any]) -> bool:
    return (
        status.get("state") == "equal"
        and not any(status[n] for n in ("lag_events", "unreplicated", "parked", "dead_letters"))
        and all(peer["state"] == "equal" and peer["reachable"] for peer in status["peers"])
    )


def _said(output: str) -> dict[str, Any]:
    try:
        said: dict[str, Any] = json.loads(output)
    except ValueError:
        return {}
    return said
