"""What has to hold once a fault is over and nobody writes: nothing lost, everything equal."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import psycopg

from events.kafka import Reader
from events.records import is_head, read_item, topic_of
from ops.chaos.processes.history import ACKNOWLEDGED, REFUSED
from ops.chaos.processes.stack import everywhere
from ops.demo.driving import DrivenDemo
from ops.demo.places import LOCATIONS
from tests.faults.writing import History, Write
from tests.locations import wait_until

QUIET_SECONDS = 120
STATUS_SECONDS = 60
READ_SECONDS = 30
# Nobody may be refused for any other reason.
EXPECTED_REFUSALS = {None, 404, 409}

Line = dict[str, Any]

_STREAMS = """
SELECT origin, epoch, min(seq), max(seq), count(*), count(event_id),
       md5(string_agg(concat_ws(' ', seq, event_id, encode(chain, 'hex')), ',' ORDER BY seq))
FROM events_eventnumber GROUP BY origin, epoch ORDER BY origin, epoch
"""
# What has no number yet, what Kafka has not taken yet, streams that nothing is applied of.
_WAITING = """
SELECT (SELECT count(*) FROM events_outbox),
       (SELECT coalesce(max(seq), 0) FROM events_eventnumber WHERE origin = %(own)s)
       - (SELECT coalesce(max(seq), 0) FROM events_published),
       (SELECT count(*) FROM events_received WHERE stopped_reason IS NOT NULL)
"""


def rows(demo: DrivenDemo, name: str, query: str, values: Mapping[str, Any]) -> list[Any]:
    """Return what a query finds in a location's database."""
    url = demo.location(name)["database_url"]
    with psycopg.connect(url, connect_timeout=5, autocommit=True) as connection:
        return connection.execute(query, values).fetchall()


def streams(demo: DrivenDemo, name: str) -> list[Any]:
    """Return for each stream its numbers and a hash of its events and chain values."""
    return rows(demo, name, _STREAMS, {})


def wait_until_quiet(demo: DrivenDemo) -> float:
    """Wait until everything has a number, is published and has arrived everywhere."""

    def seen(name: str) -> tuple[Any, Any]:
        return rows(demo, name, _WAITING, {"own": name}), streams(demo, name)

    found: dict[str, Any] = {}

    def is_quiet() -> bool:
        try:
            found.update(everywhere(seen))
        except psycopg.OperationalError as exc:
            found["error"] = exc
            return False
        waiting = [state[0] for state in found.values() if isinstance(state, tuple)]
        numbers = [state[1] for state in found.values() if isinstance(state, tuple)]
        found.pop("error", None)
        return all(each == [(0, 0, 0)] for each in waiting) and all(
            each == numbers[0] for each in numbers
        )

    return wait_until(is_quiet, QUIET_SECONDS, lambda: f"quiet: {found}")


def check(demo: DrivenDemo, history: History, written: Iterable[Write]) -> None:
    """Check everything; the records, one by one, of those that were ``written``."""
    check_numbers(demo)
    check_writes(history, everywhere(lambda name: audit(demo, name)))
    check_records(demo, {write.entity_uid for write in written} | set(history.shared))
    check_states(demo)


def check_numbers(demo: DrivenDemo) -> None:
    """Check that each stream is 1, 2, 3 … without a gap, every number an event."""
    for origin, _, first, last, numbers, events, _ in streams(demo, LOCATIONS[0]):
        assert (first, last, events) == (1, numbers, numbers), origin


def check_writes(history: History, found: Mapping[str, list[Line]]) -> None:
    """Check the log against what clients sent and were told.

    What is unknown is either everywhere or nowhere: the log is the same everywhere.
    """
    reference = found[LOCATIONS[0]]
    for name, lines in found.items():
        assert lines == reference, (name, *differing(lines, reference))
    by_request: dict[str, list[Line]] = defaultdict(list)
    for line in reference:
        by_request[line["request_id"]].append(line)
    sent = {write.request_id for write in history.writes}
    assert by_request.keys() - sent == set(), "events that nobody asked for"
    for write in history.writes:
        lines = by_request[write.request_id]
        assert len({line["event_id"] for line in lines}) <= 1, write
        assert all(line["origin"] == write.location for line in lines), write
        if write.outcome == REFUSED:
            assert lines == [], write
            assert write.status in EXPECTED_REFUSALS, write
        elif lines or write.outcome == ACKNOWLEDGED:
            made = {(line["entity_uid"], line["group"], str(line["after"])) for line in lines}
            assert (write.entity_uid, write.group, str({"value": write.value})) in made, write


def differing(lines: list[Line], reference: list[Line]) -> list[str]:
    """Return some of the lines that only one side has."""
    one, other = ({json.dumps(line) for line in each} for each in (lines, reference))
    return sorted(one ^ other)[:5]


def check_records(demo: DrivenDemo, uids: set[str]) -> None:
    """Check by the API that these records have the same history at every location."""

    def histories(name: str) -> dict[str, Any]:
        with demo.client(name) as api:
            answers = {uid: api.get(f"/entities/{uid}/history") for uid in uids}
        assert {answer.status_code for answer in answers.values()} <= {200, 404}
        return {uid: answer.json() for uid, answer in answers.items() if answer.is_success}

    found = everywhere(histories)
    reference = found[LOCATIONS[0]]
    for name in LOCATIONS:
        assert found[name].keys() == reference.keys(), name
        for uid in reference:
            assert found[name][uid] == reference[uid], (name, uid)


def check_states(demo: DrivenDemo) -> None:
    """Check that the states are equal, and that no location says anything else."""
    found = everywhere(lambda name: status(demo, name))
    assert len({each["digest"] for each in found.values()}) == 1, found
    assert len({each["conflicts"] for each in found.values()}) == 1, found
    for each in found.values():
        assert (each["dead_letters"], each["parked"]) == (0, 0), each
        assert [peer["state"] for peer in each["peers"] if peer["state"] == "unequal"] == []


def check_no_lag(demo: DrivenDemo) -> None:
    """Check that every location comes to know that it is where all others are."""
    found: dict[str, Any] = {}

    def is_equal() -> bool:
        found.update(everywhere(lambda name: status(demo, name)))
        return all(
            each["unreplicated"] == 0
            and all(peer["state"] == "equal" and peer["reachable"] for peer in each["peers"])
            for each in found.values()
        )

    wait_until(is_equal, STATUS_SECONDS, lambda: f"equal: {found}")


def check_topics(demo: DrivenDemo) -> None:
    """Check that Kafka holds every number of every stream, and no other."""
    wanted = {
        topic_of(origin): set(range(1, last + 1))
        for origin, _, _, last, *_ in streams(demo, LOCATIONS[0])
    }
    found: dict[str, set[int]] = {topic: set() for topic in wanted}
    reader = Reader(demo.state["kafka_bootstrap"], dict.fromkeys(wanted, 0))

    def is_all_there() -> bool:
        for topic, record in reader.read(1000, 0.2):
            if not is_head(record):
                found[topic].add(read_item(record)[1].seq)
        return found == wanted

    missing = {topic: len(wanted[topic]) for topic in wanted}
    wait_until(is_all_there, READ_SECONDS, lambda: f"in the topics: {missing}")
    reader.close()


def status(demo: DrivenDemo, name: str) -> dict[str, Any]:
    """Return what a location's ``sync_status`` says."""
    said: dict[str, Any] = json.loads(demo.manage(name, "sync_status", "--json", codes=(0, 1)))
    return said


def audit(demo: DrivenDemo, name: str) -> list[Line]:
    """Return a location's whole log by the API, newest first."""
    lines: list[Line] = []
    with demo.client(name, "provider") as api:
        address: str | None = "/audit?limit=1000"
        while address:
            answer = api.get(address)
            assert answer.status_code == 200, answer.text
            page = answer.json()
            lines += page["results"]
            address = page["next"]
    return lines
