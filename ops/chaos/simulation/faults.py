"""What breaks: processes, lines, clocks, disks, and releases that do not know an event."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from events.rebuilding import Selection, rebuild_all
from events.recovery import begin
from events.stamp import Stamp
from ops.chaos.simulation import people
from ops.chaos.simulation.clocks import SECOND
from ops.chaos.simulation.counts import ZOMBIE_FENCED
from ops.chaos.simulation.history import Gone
from ops.chaos.simulation.lines import Line
from ops.chaos.simulation.location import CONSUMER, OBSERVER, SEQUENCER, WEB, Location
from ops.chaos.simulation.stage import NEWER
from ops.chaos.simulation.world import World
from ops.chaos.simulation.zombies import asleep

# By how much a clock is wrong: mostly little, rarely an hour, once in a while 70 years.
OFFSETS = (0, 0, 50_000, -50_000, SECOND, -SECOND, 60 * SECOND, -60 * SECOND, 3600 * SECOND,
           -3600 * SECOND, 70 * 365 * 86_400 * SECOND)  # fmt: skip
MOST_STATEMENTS = 24
KEYS = "events_subjectkey"

_LOST = """
SELECT event_id, convert_from(raw, 'UTF8')::jsonb ->> 'request_id', entity_uid, ts, origin
FROM events_event WHERE origin <> 'genesis'
"""


def crash(world: World, at: Location) -> str:
    """Let a process die before one of its next statements, or when it has done its work."""
    process = world.dice.choice((WEB, WEB, SEQUENCER, CONSUMER, CONSUMER))
    seam = at.seams[process]

    def strike() -> None:
        world.counts[f"{process} crashed"] += 1
        seam.kill()

    statements = world.dice.randrange(MOST_STATEMENTS)
    seam.set(statements, strike)
    return f"{process} after {statements} statements"


def interrupt(world: World, at: Location) -> str:
    """Let other threads of the location do their work in the middle of what a process does."""
    process = world.dice.choice((WEB, WEB, SEQUENCER, CONSUMER))
    meanwhile: dict[str, Callable[[], str]] = {
        "apply": lambda: at.step("apply"),
        "sequencer": lambda: at.step("sequencer"),
        "relay": lambda: at.step("relay"),
        "web": lambda: people.change(world, at),
        "contact": lambda: at.ask(world.dice.choice(sorted(at.settings["PEERS"]))),
    }
    threads = world.dice.choices(sorted(meanwhile), k=world.dice.randint(1, 3))

    def strike() -> None:
        for thread in threads:
            if thread in ("web", "contact") or at.is_free(thread):
                world.counts["interrupted"] += 1
                world.say(at, f"meanwhile {thread}", meanwhile[thread]())

    statements = world.dice.randrange(MOST_STATEMENTS)
    at.seams[process].set(statements, strike)
    return f"{process} after {statements} statements by {' '.join(threads)}"


def lose_power(world: World, at: Location) -> str:
    """Let all processes of a location die at once, and start again."""
    at.start()
    return ""


def cut(world: World, at: Location) -> str:
    """Cut a line, in one way or both, or take a location off the network."""
    draw = world.dice.random()
    other = world.dice.choice([name for name in world.locations if name != at.name])
    lines = {Line(at.name, other)}
    if draw < 0.6:
        lines.add(Line(other, at.name))
    if draw < 0.2:
        lines = {line for line in world.all_lines() if at.name in line}
        world.broker.away.add(at.name)
    world.lines.cut |= lines
    return " ".join(f"{line.sender}>{line.receiver}" for line in sorted(lines))


def heal(world: World, at: Location) -> str:
    """Mend some lines."""
    mended = {line for line in sorted(world.lines.cut) if world.dice.random() < 0.6}
    world.lines.cut -= mended
    world.broker.away.discard(at.name)
    return f"{len(mended)} lines"


def lose(world: World, at: Location) -> str:
    """Let some of what is sent get lost from now on, or nothing any more."""
    world.lines.loss = world.dice.choice((0.0, 0.0, 0.1, 0.3))
    return f"{world.lines.loss:.0%}"


def arrive_late(world: World, at: Location) -> str:
    """Let a question arrive that nobody waits for any more."""
    if not world.lines.late:
        return "nothing is late"
    question = world.lines.late.pop(world.dice.randrange(len(world.lines.late)))
    status, _ = world.answer(question)
    return f"{question.line.sender}>{question.line.receiver} {status}"


def set_clock(world: World, at: Location) -> str:
    """Set a location's clock: a step to a wrong time, or to the right one."""
    weights = [10] * (len(OFFSETS) - 1) + [2]
    at.clock.offset = world.dice.choices(OFFSETS, weights)[0]
    return f"{at.clock.offset / SECOND} s"


def fall_asleep(world: World, at: Location) -> str:
    """Let an applier fall asleep just before it applies."""
    zombie = asleep(at, [other for other in world.locations.values() if other is not at])
    if zombie is None:
        return "it had nothing to apply"
    world.zombies.append(zombie)
    return f"before {len(zombie.runs)} runs"


def wake(world: World, at: Location) -> str:
    """Let an applier wake up that fell asleep a while ago."""
    if not world.zombies:
        return "nobody sleeps"
    zombie = world.zombies.pop(world.dice.randrange(len(world.zombies)))
    said = zombie.wake()
    world.counts[ZOMBIE_FENCED] += said == "WrongCursor"
    return f"at {zombie.at.name}: {said}"


def upgrade(world: World, at: Location) -> str:
    """Bring a location to the next release, which knows and writes a newer event version.

    Then its operator has the records folded that waited for it.
    """
    if not world.has_upgrades or at.release == NEWER:
        return "there is no newer release"
    at.release = NEWER
    for process in at.seams:
        at.restart(process)
    with at.on(OBSERVER):
        tally = rebuild_all(Selection(is_parked_only=True))
    return f"{len(tally.found.unparked)} records go on"


def back_up(world: World, at: Location) -> str:
    """Save a location's database as it stands."""
    world.backups[at.name] = at.disk.save()
    return ""


def restore(world: World, at: Location) -> str:
    """Lose a location's disk; bring it back from its backup, marked as ``ops.backup`` marks it.

    Where there is no backup it begins from nothing, which is the same with an empty one.
    """
    is_empty = at.name not in world.backups
    lost = _come_back(world, at)
    with at.on(OBSERVER):
        begin()
    world.counts["restored"] += 1
    return f"{'from nothing, ' if is_empty else ''}{lost} events are lost"


def wrote_before_it_noticed(world: World, at: Location) -> str:
    """Bring a location back unmarked, as from a disk snapshot: it writes before it meets a peer.

    Its stream may then fork.
    """
    world.counts["restored unnoticed"] += 1
    return f"{_come_back(world, at)} events are lost"


def _come_back(world: World, at: Location) -> int:
    """Put a location's backup in the place of its database, before any process starts."""
    lost = _note_lost(world, at)
    # A subject has one key at an origin. Were a key lost, the location would make another one, and
    # what one of the two has sealed could not be opened any more: the keys have to survive.
    keys = at.disk.save().tables[KEYS]
    at.stop()
    nothing = world.disks.nothing()
    saved = world.backups.pop(at.name, nothing)
    at.disk.bring_back(replace(saved, tables={**saved.tables, KEYS: keys}))
    world.zombies = [zombie for zombie in world.zombies if zombie.at is not at]
    at.start()
    return lost


def _note_lost(world: World, at: Location) -> int:
    """Note which events nobody else has, its own and others': no one promises that they survive."""
    here = {event_id: found for event_id, *found in at.rows(_LOST)}
    for other in world.locations.values():
        if other is not at:
            for event_id, *_ in other.rows(_LOST):
                here.pop(event_id, None)
    writes = {write.request_id: write for write in world.history.writes}
    for event_id, (request_id, uid, ts, origin) in here.items():
        write = writes[request_id]
        write.is_lost = True
        stamp = Stamp(ts, origin, event_id)
        world.history.gone[event_id] = Gone(uid, stamp, frozenset(write.wanted[uid]))
    return len(here)
