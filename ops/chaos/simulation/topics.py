"""What breaks in Kafka: topics, records, the broker itself."""

from __future__ import annotations

from dataclasses import replace

from events.records import CHAIN, SEQ, Record, topic_of
from ops.chaos.simulation.location import Location
from ops.chaos.simulation.world import World


def spoil_kafka(world: World, at: Location) -> str:
    """Wipe topics, let records expire, double them, put wrong ones in, take the broker away."""
    if not world.has_kafka:
        return "there is no Kafka"
    faults = (_wipe_all, _wipe, _forget, _double, _forge, _take_away, _bring_back)
    fault = world.dice.choice(faults)
    return f"{fault.__name__[1:]} {fault(world, at)}"


def _wipe_all(world: World, at: Location) -> str:
    world.broker.topics.clear()
    return ""


def _wipe(world: World, at: Location) -> str:
    world.broker.wipe(topic_of(at.name))
    return at.name


def _forget(world: World, at: Location) -> str:
    topic = topic_of(at.name)
    count = world.dice.randint(0, len(world.broker.log(topic).records))
    world.broker.forget(topic, count)
    return f"{count} of {at.name}"


def _double(world: World, at: Location) -> str:
    records = list(world.broker.log(topic_of(at.name)).records)
    chosen = world.dice.sample(records, world.dice.randint(0, len(records)))
    for record in chosen:
        world.broker.append(topic_of(at.name), record)
    return f"{len(chosen)} of {at.name}"


_NOTHING = Record(b"", b"{}")


def _forge(world: World, at: Location) -> str:
    """Append a record that its origin never sent: other bytes, another number, or no event."""
    topic = topic_of(at.name)
    records = [record for record in world.broker.log(topic).records if SEQ in record.headers]
    # After the last one the number that comes next is forged before it is there.
    record = world.dice.choice((records[-1], world.dice.choice(records))) if records else _NOTHING
    how = world.dice.choice(("bytes", "number", "far number", "nothing"))
    if how == "bytes":
        record = replace(record, value=record.value.replace(b"request-", b"request_"))
    elif how != "nothing":
        ahead = 1 if how == "number" else 1000
        number = int(record.headers.get(SEQ, b"0")) + ahead
        record = replace(record, headers={**record.headers, SEQ: b"%d" % number})
    else:
        record = Record(b"", world.dice.randbytes(9), {CHAIN: b"?"})
    world.broker.append(topic, record)
    world.counts["forged"] += 1
    return f"{how} at {at.name}"


def _take_away(world: World, at: Location) -> str:
    names = world.dice.choice(([at.name], list(world.locations)))
    world.broker.away.update(names)
    return " ".join(names)


def _bring_back(world: World, at: Location) -> str:
    world.broker.away.clear()
    return ""
