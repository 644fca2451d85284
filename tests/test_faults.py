"""Real processes, a real Kafka, one fault after the other while all locations write."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from ops.chaos.processes.history import UNKNOWN
from ops.demo.driving import DrivenDemo, driven_demo
from ops.demo.places import LOCATIONS
from ops.kafka_server import KafkaError, java, library
from tests.faults.checking import check, check_no_lag, check_topics, rows, wait_until_quiet
from tests.faults.writing import History, enter_shared, everybody_writing
from tests.locations import wait_until

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.feature("S01"),
    pytest.mark.feature("S02"),
    pytest.mark.feature("S03"),
    pytest.mark.feature("R07"),
]

OUTAGE_SECONDS = 60  # of the broker, of a location's lines
AGAIN_SECONDS = 60  # until what was killed is there again
SHARED = 6
FEW = 3  # writes that show that a location works

_CLIENTS = """
SELECT pid FROM pg_stat_activity
WHERE backend_type = 'client backend' AND datname = current_database()
  AND pid <> pg_backend_pid()
"""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DrivenDemo]:
    """Three locations with a real Kafka."""
    try:
        java(), library()
    except KafkaError as error:
        pytest.skip(str(error))
    with driven_demo(tmp_path_factory.mktemp("faults") / "sins", broker="kafka") as demo:
        yield demo


@pytest.fixture(scope="module")
def history(demo: DrivenDemo) -> History:
    """What clients have sent and were told, from the first write on."""
    history = History()
    enter_shared(demo, history, SHARED)
    wait_until_quiet(demo)
    return history


def kill_web(demo: DrivenDemo, name: str) -> None:
    kill_process(demo, name, "web")


def kill_web_worker(demo: DrivenDemo, name: str) -> None:
    web = demo.location(name)["processes"]["web"]
    before = children(web)
    os.kill(before[0], signal.SIGKILL)
    wait_until(lambda: children(web) not in ([], before), AGAIN_SECONDS, "another worker")


def kill_sequencer(demo: DrivenDemo, name: str) -> None:
    kill_process(demo, name, "sequencer")


def kill_consumer(demo: DrivenDemo, name: str) -> None:
    kill_process(demo, name, "consumer")


def kill_postgres(demo: DrivenDemo, name: str) -> None:
    kill_process(demo, name, "postgres")


def kill_postgres_backend(demo: DrivenDemo, name: str) -> None:
    """Kill one server process of a connection: PostgreSQL then drops all and recovers."""
    pid = random.choice(rows(demo, name, _CLIENTS, {}))[0]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), AGAIN_SECONDS)


def kill_process(demo: DrivenDemo, name: str, process: str) -> None:
    before = demo.location(name)["processes"][process]
    os.kill(before, signal.SIGKILL)

    def runs_again() -> bool:
        return demo.location(name)["processes"].get(process, before) != before

    wait_until(runs_again, AGAIN_SECONDS, lambda: demo.printed[-2000:])


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return sorted(int(child) for child in text.split())


def serves(demo: DrivenDemo, name: str) -> bool:
    try:
        url = f"{demo.location(name)['url']}/readyz"
        return httpx.get(url, timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def wait_for_writes(history: History, names: tuple[str, ...] = LOCATIONS) -> None:
    """Wait until each location has acknowledged a few writes from now on."""
    now = time.monotonic()
    wait_until(
        lambda: all(history.since(now)[name] >= FEW for name in names),
        AGAIN_SECONDS,
        lambda: f"writes: {history.since(now)}, unknown: {history.since(now, UNKNOWN)}",
    )


def under_load(demo: DrivenDemo, history: History, faults: Callable[[], None], said: str) -> float:
    """Let everybody write before, during and after a fault, then check; return when it began."""
    sent = len(history.writes)
    begun = time.monotonic()
    with everybody_writing(demo, history):
        wait_for_writes(history)
        faults()
        wait_for_writes(history)
    seconds = wait_until_quiet(demo)
    written = time.monotonic()
    check(demo, history, history.writes[sent:])
    assert demo.is_running
    sys.stdout.write(
        f"{said}: {written - begun:.0f} s, of them {seconds:.1f} s until quiet, then"
        f" {time.monotonic() - written:.0f} s of checks; {len(history.writes) - sent} writes,"
        f" {history.since(begun, UNKNOWN).total()} unknown\n"
    )
    return begun


def killed(
    kill: Callable[[DrivenDemo, str], None], *, is_seen_by_clients: bool
) -> Callable[[DrivenDemo, History], None]:
    """Kill one thing at each location, one location after the other."""

    def run(demo: DrivenDemo, history: History) -> None:
        def faults() -> None:
            for name in LOCATIONS:
                kill(demo, name)
                wait_until(lambda: serves(demo, name), AGAIN_SECONDS, f"{name} serves")  # noqa: B023

        begun = under_load(demo, history, faults, kill.__name__)
        if not is_seen_by_clients:
            assert not history.since(begun, UNKNOWN)

    return run


def broker_stopped(demo: DrivenDemo, history: History) -> None:
    """Stop the broker for a minute."""
    cut_off(demo, history, "broker", LOCATIONS)


def location_cut_off(demo: DrivenDemo, history: History) -> None:
    """Take loc3 off the network of the others for a minute."""
    cut_off(demo, history, "loc3", ("loc1", "loc2"))


def cut_off(
    demo: DrivenDemo, history: History, whom: str, still_connected: tuple[str, ...]
) -> None:
    def faults() -> None:
        gone = time.monotonic()
        demo.word("cut", whom)
        arrives_everywhere(demo, history, still_connected)
        wait_until(lambda: time.monotonic() - gone > OUTAGE_SECONDS, OUTAGE_SECONDS + 5)
        all_worked(history, gone)
        demo.word("heal", whom)

    begun = under_load(demo, history, faults, f"{whom} cut off")
    assert not history.since(begun, UNKNOWN)


def all_worked(history: History, since: float) -> None:
    """All locations went on taking writes all the time."""
    found = history.since(since)
    assert min(found[name] for name in LOCATIONS) > OUTAGE_SECONDS / 2, found
    assert not history.since(since, UNKNOWN)


def arrives_everywhere(demo: DrivenDemo, history: History, names: tuple[str, ...]) -> None:
    """What is entered from now on reaches these locations, whatever is broken."""
    seen = len(history.writes)
    wait_for_writes(history, names)
    entered = [w for w in history.writes[seen:] if w.path == "/customers" and w.status == 201]
    for write in entered:
        if write.location in names:
            for name in names:
                with demo.client(name, "provider") as api:
                    path = f"/customers/{write.entity_uid}"
                    wait_until(lambda: api.get(path).status_code == 200, AGAIN_SECONDS, path)  # noqa: B023


FAULTS: dict[str, Callable[[DrivenDemo, History], None]] = {
    "web killed": killed(kill_web, is_seen_by_clients=True),
    "web worker killed": killed(kill_web_worker, is_seen_by_clients=True),
    "sequencer killed": killed(kill_sequencer, is_seen_by_clients=False),
    "consumer killed": killed(kill_consumer, is_seen_by_clients=False),
    "PostgreSQL killed": killed(kill_postgres, is_seen_by_clients=True),
    "PostgreSQL backend killed": killed(kill_postgres_backend, is_seen_by_clients=True),
    "broker stopped": broker_stopped,
    "loc3 cut off": location_cut_off,
}


def test_one_fault_after_the_other(
    demo: DrivenDemo, history: History, subtests: pytest.Subtests
) -> None:
    """One run in a known order: what one fault leaves behind meets the next."""
    for name, fault in FAULTS.items():
        with subtests.test(name):
            fault(demo, history)
    with subtests.test("in the end"):
        all_is_equal_and_nothing_is_left_behind(demo, history)


def all_is_equal_and_nothing_is_left_behind(demo: DrivenDemo, history: History) -> None:
    check_no_lag(demo)
    check_topics(demo)
    check(demo, history, [])  # the records stand in the digest; each phase has compared its own
    ((conflicts,),) = rows(demo, "loc1", "SELECT count(*) FROM events_conflict", {})
    assert conflicts > 0, "the load had no parallel changes"
    pids = [pid for entry in demo.state["locations"] for pid in entry["processes"].values()]
    pids += demo.state["processes"].values()
    assert demo.stop() == 0
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), 30, f"end of {pids}")
