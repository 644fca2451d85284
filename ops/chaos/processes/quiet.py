"""Waiting until nothing is under way any more, and who says so while that does not come."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

import psycopg

from ops.chaos.processes.history import STUCK, Failure
from ops.chaos.processes.stack import ChaosStack, everywhere

ALARM_SECONDS: Final = 60.0  # where nothing has moved for so long, somebody has to say so
PATIENCE_SECONDS: Final = 240.0
LOOK_SECONDS: Final = 0.25
# States in which sync_status says that something is wrong; "catching up" says that it moves.
SAYS_SO: Final = frozenset({"unequal", "stuck", "unreachable", "recovering"})

# What has no number yet, what Kafka has not taken yet, and where all streams stand.
_STANDING: Final = """
SELECT (SELECT count(*) FROM events_outbox),
       (SELECT count(*) FROM events_eventnumber n LEFT JOIN events_published p ON true
        WHERE n.origin = %(own)s
          AND (p.topic IS NULL OR (n.epoch, n.seq) > (p.epoch, p.seq))),
       ARRAY(SELECT DISTINCT ON (origin, epoch)
                    concat_ws(' ', origin, epoch, seq, encode(chain, 'hex'))
             FROM events_eventnumber ORDER BY origin, epoch, seq DESC)
"""
# What peers say they hold, beside what is held here.
_DIGESTS: Final = """
SELECT count(*), count(DISTINCT digest), count(DISTINCT digest_heads), min(length(digest)),
       min(digest_heads::text)
FROM events_peercontact WHERE location = ANY(%s)
"""

Standing = tuple[Any, ...]


def standing(stack: ChaosStack, name: str) -> Standing | None:
    """Return how many events wait for a number and for Kafka, and where the streams stand.

    None while that cannot be asked.
    """
    try:
        (found,) = stack.rows(name, _STANDING, {"own": name})
    except psycopg.OperationalError:
        return None
    return found


def standings(stack: ChaosStack) -> dict[str, Standing | None]:
    """Return the standing of each location."""
    return everywhere(stack, lambda name: standing(stack, name))


def is_quiet(stack: ChaosStack, found: Mapping[str, Standing | None]) -> bool:
    """Whether everything has a number, is published, has arrived, and nobody complains."""
    first = next(iter(found.values()))
    if first is None or first[:2] != (0, 0) or any(each != first for each in found.values()):
        return False
    return all(stack.readiness(name).get("status") == "ready" for name in found)


def complaints(stack: ChaosStack, name: str) -> list[str]:
    """Return what a location says is wrong with it, at ``/readyz``; nothing if it says nothing."""
    said = stack.readiness(name)
    return [*said.get("failing", []), *said.get("degraded", [])]


def wait_until_quiet(stack: ChaosStack) -> tuple[float, list[Failure]]:
    """Wait until it is quiet; return the seconds it took, and a failure if it does not come.

    What has not moved for a minute has to be said by a location; what does not come at all is a
    failure, said or not.
    """
    begun = moved_at = time.monotonic()
    before, has_asked = standings(stack), False
    found = before
    while not (stack.keep_alive() and is_quiet(stack, found)):
        now = time.monotonic()
        passed = now - begun
        if found != before:
            before, moved_at = found, now
        if now - moved_at > ALARM_SECONDS and not has_asked:
            has_asked = True
            if not alarms(stack):
                return passed, [Failure(STUCK, f"nobody says so: {_told(stack)}")]
        if passed > PATIENCE_SECONDS:
            return passed, [Failure(STUCK, f"{alarms(stack)}: {_told(stack)}")]
        time.sleep(LOOK_SECONDS)
        found = standings(stack)
    return time.monotonic() - begun, []


def alarms(stack: ChaosStack) -> list[str]:
    """Return what locations say is wrong, at ``/readyz`` or by ``sync_status``.

    Who cannot be asked says nothing.
    """
    found = []
    for name, said in everywhere(stack, lambda name: complaints(stack, name)).items():
        found += [f"{name}: {sentence}" for sentence in said]
    for name, status in everywhere(stack, stack.status).items():
        if status.get("state") in SAYS_SO:
            found.append(f"{name}: {status['state']}")
    return found


def do_digests_agree(stack: ChaosStack, name: str) -> bool:
    """Whether a location has heard from all peers the digest of what is here, and it is its own."""
    ((count, digests, heads, length, named),) = stack.rows(name, _DIGESTS, [stack.names])
    return (count, digests, heads) == (len(stack.names), 1, 1) and length > 0 and named != "{}"


def _told(stack: ChaosStack) -> str:
    found = standings(stack)
    dead = [f"{part.location} {part.name}" for part in stack.parts if part.pid is None]
    return f"dead {dead}, outbox, unpublished and streams {found}"
