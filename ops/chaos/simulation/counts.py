"""How often what a run is there for has happened: seen at the product's own functions and logs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

from consumers import apply, contact, dead_letters, digests
from events import recovery, refold
from events.errors import SinsError

REFOLD, PARKED, EPOCH_RAISED = "re-fold", "parked", "epoch raised"
VOID_BEFORE_TARGET, TAIL_PULLED = "void before its target", "tail pulled"
ZOMBIE_FENCED, CLOSING_CONFLICT = "zombie fenced", "conflict on a closing group"
DIGESTS_DIFFER = "digests differ"
SOMETIMES = (
    REFOLD, PARKED, EPOCH_RAISED, VOID_BEFORE_TARGET, TAIL_PULLED, ZOMBIE_FENCED, CLOSING_CONFLICT,
)  # fmt: skip
LOGS = (
    "consumers.apply.log", "consumers.contact.log", "consumers.dead_letters.log",
    "consumers.digests.log", "consumers.peer_routes.log", "consumers.peering.log",
    "consumers.runner.log", "events.rebuilding.log", "events.relay.log", "events.sequencer.log",
)  # fmt: skip
_HEARD = {
    dead_letters.DEAD_LETTER: "dead letter", contact.PEER_LOST: "peer lost",
    apply.FORKED: "stream stopped", apply.GIVEN_UP: "branch given up",
    digests.DIFFER: DIGESTS_DIFFER,
}  # fmt: skip


class Ear:
    """Stands in for a log; counts some of the lines."""

    def __init__(self, counts: Counter[str], has_kafka: Callable[[], bool]) -> None:
        self._counts, self._has_kafka = counts, has_kafka

    def info(self, event: str, **fields: Any) -> None:
        """Hear a line."""
        if event in _HEARD:
            self._counts[_HEARD[event]] += 1
        elif event == contact.PULLED and self._has_kafka():
            self._counts[TAIL_PULLED] += 1  # what a Kafka that delivers did not bring

    warning = error = exception = info


@contextmanager
def counting(counts: Counter[str], has_kafka: Callable[[], bool]) -> Iterator[None]:
    """Count what happens in the product while the block runs; nothing is logged meanwhile.

    ``has_kafka`` says whether Kafka delivers to the location that acts.
    """
    with ExitStack() as stack:
        for name in LOGS:
            stack.enter_context(mock.patch(name, Ear(counts, has_kafka)))
        for module, function, name, see in (
            (refold, "_start_over", REFOLD, _any_call),
            (refold, "_resume", "fast path", _any_call),
            (refold, "_readable", PARKED, _an_error),
            (refold, "has_open_voids", VOID_BEFORE_TARGET, _true),
            (recovery, "finish", EPOCH_RAISED, _true),
        ):
            seen = _seen(getattr(module, function), name, see, counts)
            stack.enter_context(mock.patch.object(module, function, seen))
        yield


See = Callable[[object, SinsError | None], bool]


def _seen(
    function: Callable[..., Any], name: str, see: See, counts: Counter[str]
) -> Callable[..., Any]:
    def called(*arguments: Any, **named: Any) -> Any:
        error: SinsError | None = None
        result: object = None
        try:
            result = function(*arguments, **named)
        except SinsError as exc:
            error = exc
            raise
        finally:
            counts[name] += see(result, error)
        return result

    return called


def _any_call(result: object, error: SinsError | None) -> bool:
    return True


def _true(result: object, error: SinsError | None) -> bool:
    return bool(result)


def _an_error(result: object, error: SinsError | None) -> bool:
    return error is not None
