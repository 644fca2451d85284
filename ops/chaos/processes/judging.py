"""The log against the clients' history: nothing acknowledged is lost, nothing is there unasked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ops.chaos.processes.history import (
    ACKNOWLEDGED,
    DIVERGENT,
    EXPECTED_REFUSALS,
    LOST,
    MISTAKEN,
    PHANTOM,
    REFUSED,
    Failure,
    Write,
)

REGISTRY = (
    "events.location"  # how the types of the registry's events begin: no client asks for them
)
IMPORT = "IMPORT"  # the method of a write that enters a file; its request has an id of its own


@dataclass(frozen=True, slots=True)
class Made:
    """An event as the log has it; ``groups`` are ``{group: value}``, None where it is sealed."""

    event_id: str
    request_id: str
    origin: str
    entity_uid: str
    tx: str
    tx_size: int
    groups: Mapping[str, Any]


def judge(
    writes: Iterable[Write], log: Iterable[Made], *, is_open: bool = False
) -> Iterator[Failure]:
    """Yield what does not fit; with ``is_open``, values are compared, too.

    What is unknown may have an event or none: that it is the same everywhere is seen elsewhere.
    """
    asked = list(writes)
    by_request = _by_request(asked, log)
    by_intent: dict[str, list[Write]] = defaultdict(list)
    for write in asked:
        by_intent[write.intent].append(write)
        yield from _check(write, by_request.get(write.request_id, []), is_open=is_open)
    for attempts in by_intent.values():
        yield from _check_intent(attempts, by_request)
    for request_id in by_request.keys() - {write.request_id for write in asked}:
        for made in by_request[request_id]:
            yield Failure(PHANTOM, f"event {made.event_id} of {made.origin}: nobody asked for it")


def _by_request(writes: Iterable[Write], log: Iterable[Made]) -> dict[str, list[Made]]:
    """Return the events of each request; what a file entered is found by its records."""
    entered = {uid: w.request_id for w in writes if w.method == IMPORT for uid in w.uids}
    known = {write.request_id for write in writes}
    found: dict[str, list[Made]] = defaultdict(list)
    for made in log:
        is_known = made.request_id in known
        request_id = made.request_id if is_known else entered.get(made.entity_uid, made.request_id)
        found[request_id].append(made)
    return found


def _check(write: Write, found: Sequence[Made], *, is_open: bool) -> Iterator[Failure]:
    name = f"{write.method} {write.request_id} at {write.location}"
    if write.outcome == REFUSED and found:
        yield Failure(PHANTOM, f"{name} was refused, and its event is there")
    if write.outcome == REFUSED and write.status not in EXPECTED_REFUSALS:
        yield Failure(MISTAKEN, f"{name} was refused with {write.status}")
    for made in found:
        if not _is_as_asked(write, made, is_open=is_open):
            yield Failure(PHANTOM, f"{name} is there as something else: event {made.event_id}")
    uids = {made.entity_uid for made in found}
    if len(uids) < len(found):
        yield Failure(PHANTOM, f"{name} is there {len(found)} times")
    is_whole = len({made.tx for made in found}) <= 1 and all(
        made.tx_size == len(found) for made in found
    )
    if not is_whole or (found and write.uids and uids != set(write.uids)):
        yield Failure(DIVERGENT, f"{name} is not whole: {len(found)} of {len(write.uids)}")


def _is_as_asked(write: Write, made: Made, *, is_open: bool) -> bool:
    return (
        made.origin == write.location
        and (not write.uids or made.entity_uid in write.uids)
        and _are_groups_as_asked(write, made)
        and (not is_open or all(made.groups[g] == v for g, v in write.wanted.items()))
    )


def _are_groups_as_asked(write: Write, made: Made) -> bool:
    """What enters a record adds groups of its own to those asked for; what changes one does not."""
    wanted, found = write.wanted.keys(), made.groups.keys()
    is_entered = write.method == IMPORT or (write.method, write.path) == ("POST", "/customers")
    return wanted <= found if is_entered else wanted == found


def _check_intent(
    attempts: Sequence[Write], by_request: Mapping[str, Sequence[Made]]
) -> Iterator[Failure]:
    """Check that what was said again was done once, and done at all if once acknowledged."""
    with_events = [write for write in attempts if by_request.get(write.request_id)]
    first = attempts[0]
    name = f"{first.method} {first.request_id} at {first.location}"
    if len(with_events) > 1:
        yield Failure(PHANTOM, f"{name} was said {len(attempts)} times, and done more than once")
    is_due = any(w.outcome == ACKNOWLEDGED and not w.is_optional for w in attempts)
    if is_due and not with_events:
        yield Failure(LOST, f"{name} was acknowledged, and has no event")
