"""What can go wrong: each kind begins, lasts some seconds beside others, and ends again."""

from __future__ import annotations

import contextlib
import random
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from itertools import permutations
from typing import Final, NamedTuple

import psycopg

from ops.chaos.processes import clock, joining, operating, restoring
from ops.chaos.processes.links import Mode
from ops.chaos.processes.process_tree import descendants, send
from ops.chaos.processes.stack import CLIENTS, LOOK_SECONDS, ChaosStack
from ops.demo.parts import Part, Program
from ops.demo.places import BROKER, LOCATIONS

PROCESSES: Final = ("web", "sequencer", "consumer", "postgres")
END_SECONDS: Final = 30.0  # a PostgreSQL that recovers may still end
CHILD_SHARE: Final = 0.3  # of the kills hit one worker or one connection's server alone
# By how many seconds a clock is wrong: little, below what peers refuse as stale, up to an hour.
OFFSETS: Final = ((0.3, 5.0), (5.0, 280.0), (300.0, 3600.0))

Way = tuple[str, str]


class Fault(NamedTuple):
    """One fault: where it is, how many seconds after the first it begins, and how long it lasts.

    ``value`` is drawn, too: by how many seconds a clock is wrong, or a number from 0 to 1.
    """

    kind: str
    where: str
    after: float
    seconds: float
    value: float = 0.0


class Kind(NamedTuple):
    """How faults of one kind are drawn; ``parts`` are what no other fault may touch meanwhile."""

    happens: Callable[[ChaosStack, Fault], AbstractContextManager[None]]
    places: tuple[str, ...]
    parts: Callable[[str], frozenset[str]]
    seconds: tuple[float, float]


def part_of(stack: ChaosStack, where: str) -> Part:
    """Return the process that ``"loc1 web"`` or ``"broker"`` names."""
    location, _, name = where.rpartition(" ")
    return stack.part(location or None, name)


@contextmanager
def killed(stack: ChaosStack, fault: Fault) -> Iterator[None]:
    """kill -9 a process with all it has started, or one of those alone; dead until the end."""
    part = part_of(stack, fault.where)
    pid = part.pid
    children = descendants(pid) if pid is not None else []
    if pid is None or (children and fault.value < CHILD_SHARE):
        send(children[-1:], signal.SIGKILL)
        yield
        return
    stack.hold(part)
    send([pid, *children], signal.SIGKILL)
    while part.pid == pid:  # large ones take a moment, also to die
        time.sleep(LOOK_SECONDS)
    try:
        yield
    finally:
        if isinstance(part, Program):
            part.kill()  # collects what is left of it
        stack.release(part)


@contextmanager
def stopped(stack: ChaosStack, fault: Fault) -> Iterator[None]:
    """SIGSTOP a process with all it has started, SIGCONT at the end."""
    pid = part_of(stack, fault.where).pid
    pids = [] if pid is None else [pid, *descendants(pid)]
    send(pids, signal.SIGSTOP)
    try:
        yield
    finally:
        send(pids, signal.SIGCONT)


@contextmanager
def wiped(stack: ChaosStack, fault: Fault) -> Iterator[None]:
    """Kill the broker and delete all it holds; another cluster begins at the same address."""
    broker = stack.kafka
    stack.hold(broker)
    broker.wipe()
    try:
        yield
    finally:
        stack.release(broker)


def spoilt(mode: Mode) -> Callable[[ChaosStack, Fault], AbstractContextManager[None]]:
    """Return what lets the ways that ``where`` names be in a mode."""

    @contextmanager
    def happens(stack: ChaosStack, fault: Fault) -> Iterator[None]:
        links = [stack.links[way] for way in ways(fault.where)]
        stack.steer(links, mode)
        try:
            yield
        finally:
            stack.steer(links, Mode.CLEAR)

    return happens


@contextmanager
def clock_wrong(stack: ChaosStack, fault: Fault) -> Iterator[None]:
    """Let the clock of a location's processes be wrong; its PostgreSQL keeps the right one."""
    path = stack.clock_of(fault.where)
    clock.set_wrong(path, fault.value)
    try:
        yield
    finally:
        clock.set_wrong(path, 0)


@contextmanager
def disk_full(stack: ChaosStack, fault: Fault) -> Iterator[None]:
    """Leave a location's PostgreSQL no space, and give it back."""
    assert stack.disk is not None
    part = part_of(stack, fault.where)
    stack.hold(part)  # it ends when it has no space for its own log, and could not start
    stack.disk.fill()
    try:
        yield
    finally:
        stack.disk.free()
        _wait_for_its_end(stack, part)
        stack.release(part)


def _wait_for_its_end(stack: ChaosStack, postgres: Part) -> None:
    """Wait until a PostgreSQL that had no space has ended of that, or serves as if nothing was."""
    deadline = time.monotonic() + END_SECONDS
    while postgres.pid is not None and time.monotonic() < deadline:
        with contextlib.suppress(psycopg.OperationalError):
            stack.rows(str(postgres.location), "SELECT 1")
            return
        time.sleep(LOOK_SECONDS)


@contextmanager
def restored(stack: ChaosStack, fault: Fault) -> Iterator[None]:
    """Save a location's database, and at the end lose it and bring that back."""
    backup = restoring.save(stack, fault.where)
    yield
    if backup is not None:
        restoring.lose_and_restore(stack, fault.where, backup)


@contextmanager
def upgraded(stack: ChaosStack, fault: Fault) -> Iterator[None]:
    """Bring one location after the other to the next release."""
    first = LOCATIONS.index(fault.where)
    for name in (*LOCATIONS[first:], *LOCATIONS[:first]):
        if not stack.failures:
            operating.upgrade(stack, name)
    operating.wait_for_version(stack)
    yield


@contextmanager
def key_changed(stack: ChaosStack, fault: Fault) -> Iterator[None]:
    """Change the key of a location."""
    operating.change_key(stack, fault.where)
    yield


@contextmanager
def joined(stack: ChaosStack, fault: Fault) -> Iterator[None]:
    """Let a new location take part, that is entered at one that is there."""
    joining.join(stack, fault.where)
    yield


def ways(where: str) -> list[Way]:
    """Return the ways that a place names: ``a>b`` one, ``a=b`` both, ``a>*`` and ``a=*`` all."""
    sign = ">" if ">" in where else "="
    one, _, other = where.partition(sign)
    if other == "*":
        others = [name for name in LOCATIONS if name != one]
        there = [(one, name) for name in others] + ([(one, BROKER)] if sign == "=" else [])
        return there + ([(name, one) for name in others] if sign == "=" else [])
    return [(one, other)] if sign == ">" else [(one, other), (other, one)]


def _itself(where: str) -> frozenset[str]:
    return frozenset({where})


def _ways(where: str) -> frozenset[str]:
    return frozenset(">".join(way) for way in ways(where))


def _clock(where: str) -> frozenset[str]:
    return frozenset({f"{where} clock"})


def _whole(where: str) -> frozenset[str]:
    """All of a location, and all that its writes need to reach a peer."""
    processes = {f"{where} {name}" for name in PROCESSES}
    peers = {f"{name} {part}" for name in LOCATIONS for part in ("consumer", "postgres")}
    return _ways(f"{where}=*") | processes | peers | {f"{where} clock", BROKER}


def _everything(where: str) -> frozenset[str]:
    return frozenset().union(*map(_whole, LOCATIONS))


_PAIRS: Final = ("loc1=loc2", "loc1=loc3", "loc2=loc3")
_ONE_WAY: Final = tuple(f"{one}>{other}" for one, other in permutations(LOCATIONS, 2))
_FROM: Final = tuple(f"{name}>*" for name in LOCATIONS)
_TO_BROKER: Final = tuple(f"{name}>{BROKER}" for name in LOCATIONS)
_FROM_CLIENTS: Final = tuple(f"{CLIENTS}>{name}" for name in LOCATIONS)
_ALONE: Final = tuple(f"{name}=*" for name in LOCATIONS)
_DOWN, _CUT, _PAUSE, _AWAY = (0.2, 8.0), (4.0, 15.0), (2.0, 15.0), (1.0, 60.0)

DISK_FULL: Final = "disk full"
# These are no faults: only when asked for.
UPGRADED, KEY_CHANGED, JOINED = OPERATED = ("upgraded", "key changed", "joined")
KINDS: Final[Mapping[str, Kind]] = {
    **{
        f"{name} killed": Kind(killed, tuple(f"{at} {name}" for at in LOCATIONS), _itself, _DOWN)
        for name in PROCESSES
    },
    **{
        f"{name} stopped": Kind(stopped, tuple(f"{at} {name}" for at in LOCATIONS), _itself, _PAUSE)
        for name in PROCESSES
    },
    "broker killed": Kind(killed, (BROKER,), _itself, _AWAY),
    "broker stopped": Kind(stopped, (BROKER,), _itself, _PAUSE),
    "broker wiped": Kind(wiped, (BROKER,), _itself, _DOWN),
    "cut both ways": Kind(spoilt(Mode.REFUSED), _PAIRS, _ways, _CUT),
    "silent both ways": Kind(spoilt(Mode.SILENT), _PAIRS, _ways, _CUT),
    "cut one way": Kind(spoilt(Mode.REFUSED), _ONE_WAY, _ways, _CUT),
    "silent one way": Kind(spoilt(Mode.SILENT), _ONE_WAY, _ways, _CUT),
    "answers late": Kind(spoilt(Mode.DEAF), _ONE_WAY, _ways, _CUT),
    "answers lost": Kind(spoilt(Mode.UNHEARD), _ONE_WAY, _ways, _CUT),
    "answers torn": Kind(spoilt(Mode.TORN), _FROM, _ways, _CUT),
    "slow": Kind(spoilt(Mode.SLOW), (*_FROM, *_TO_BROKER), _ways, _CUT),
    "loss": Kind(spoilt(Mode.LOSSY), (*_FROM, *_TO_BROKER), _ways, _CUT),
    "doubled": Kind(spoilt(Mode.DOUBLED), _FROM, _ways, _CUT),
    "off the broker": Kind(spoilt(Mode.REFUSED), _TO_BROKER, _ways, _CUT),
    "broker silent": Kind(spoilt(Mode.SILENT), _TO_BROKER, _ways, _CUT),
    "broker's answers late": Kind(spoilt(Mode.DEAF), _TO_BROKER, _ways, _CUT),
    "off everything": Kind(spoilt(Mode.REFUSED), _ALONE, _ways, _AWAY),
    "clients' answers lost": Kind(spoilt(Mode.UNHEARD), _FROM_CLIENTS, _ways, _CUT),
    "clock": Kind(clock_wrong, LOCATIONS, _clock, _CUT),
    "restored": Kind(restored, LOCATIONS, _whole, _PAUSE),
    DISK_FULL: Kind(disk_full, (f"{LOCATIONS[-1]} postgres",), _itself, _CUT),
    UPGRADED: Kind(upgraded, LOCATIONS, _everything, _DOWN),
    KEY_CHANGED: Kind(key_changed, LOCATIONS, _everything, _DOWN),
    JOINED: Kind(joined, LOCATIONS, _everything, _DOWN),
}


def begin(stack: ChaosStack, fault: Fault) -> AbstractContextManager[None]:
    """Return the fault as what begins when it is entered and ends when it is left."""
    return KINDS[fault.kind].happens(stack, fault)


def drawn(kind: str, dice: random.Random, after: float = 0.0) -> Fault:
    """Return a fault of a kind."""
    place = dice.choice(KINDS[kind].places)
    seconds = round(dice.uniform(*KINDS[kind].seconds), 1)
    value = round(dice.random(), 2)
    if kind == "clock":
        value = round(dice.choice((-1, 1)) * dice.uniform(*dice.choice(OFFSETS)), 1)
    return Fault(kind, place, after, seconds, value)
