"""What people read at each location by the API: the audit log, and the histories of records."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import httpx

from ops.chaos.processes.history import DIVERGENT, STUCK, Failure, Write
from ops.chaos.processes.judging import REGISTRY, Made, judge
from ops.chaos.processes.stack import ChaosStack, everywhere

HISTORIES: Final = 20  # of the records that were written most
ANSWER_SECONDS: Final = 60.0

Line = dict[str, Any]
Read = tuple[list[Line], dict[str, Any]]  # the log, newest first; {uid: history}


def check(stack: ChaosStack, writes: Sequence[Write]) -> Iterator[Failure]:
    """Check that people read the same at all locations (I1), and that it is what clients sent."""
    counts = Counter(uid for write in writes for uid in write.uids)
    uids = [uid for uid, _ in counts.most_common(HISTORIES)]
    try:
        found = everywhere(stack, lambda name: _read(stack, name, uids))
    except httpx.HTTPError as error:
        yield Failure(STUCK, f"the log or a history cannot be read: {error}")
        return
    yield from compared(found, writes)


def compared(found: Mapping[str, Read], writes: Sequence[Write]) -> Iterator[Failure]:
    """Compare what was read at all locations, and with what clients were told."""
    first, *others = found
    log, histories = found[first]
    for name in others:
        if found[name][0] != log:
            yield Failure(DIVERGENT, f"I1: the audit log at {name} is not that at {first}")
        if found[name][1] != histories:
            yield Failure(DIVERGENT, f"I1: histories at {name} are not those at {first}")
    yield from judge(writes, made_of(log), is_open=True)


def made_of(log: Iterable[Line]) -> list[Made]:
    """Return the events that a log tells of; it names no transactions: a request is one."""
    by_event: dict[str, list[Line]] = defaultdict(list)
    for line in log:
        if line["event_type"].startswith(REGISTRY):
            continue
        by_event[line["event_id"]].append(line)
    sizes = Counter(lines[0]["request_id"] for lines in by_event.values())
    return [
        Made(
            event_id,
            lines[0]["request_id"],
            lines[0]["origin"],
            lines[0]["entity_uid"],
            lines[0]["request_id"],
            sizes[lines[0]["request_id"]],
            {line["group"]: (line["after"] or {}).get("value") for line in lines},
        )
        for event_id, lines in by_event.items()
    ]


def _read(stack: ChaosStack, name: str, uids: Iterable[str]) -> Read:
    location = stack.location(name)
    token = location.users["provider"]["token"]
    with httpx.Client(
        base_url=f"{location.url}/api/v1",
        headers={"Authorization": f"Token {token}"},
        timeout=ANSWER_SECONDS,
        trust_env=False,
    ) as api:
        return list(_log(api)), {uid: _history(api, uid) for uid in uids}


def _history(api: httpx.Client, uid: str) -> Any:
    """Return a record's history; None if there is no such record, as its write was not made."""
    answer = api.get(f"/entities/{uid}/history")
    is_none = answer.status_code == httpx.codes.NOT_FOUND
    return None if is_none else answer.raise_for_status().json()


def _log(api: httpx.Client) -> Iterator[Line]:
    address: str | None = "/audit?limit=1000"
    while address:
        page = api.get(address).raise_for_status().json()
        yield from page["results"]
        address = page["next"]
