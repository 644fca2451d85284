"""What can happen next, and how often it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ops.chaos.simulation import faults, people, topics
from ops.chaos.simulation.location import Location
from ops.chaos.simulation.world import World

Happens = Callable[[World, Location], str]


class Operation(NamedTuple):
    """Something that happens at a location; it says in a few words what came of it."""

    weight: int
    happens: Happens


def number(world: World, at: Location) -> str:
    """Let the sequencer number what is committed."""
    return at.step("sequencer")


def send(world: World, at: Location) -> str:
    """Let the relay send a page."""
    return at.step("relay")


def feed(world: World, at: Location) -> str:
    """Let the applying thread read what Kafka brought."""
    return at.step("apply")


def ask(world: World, at: Location) -> str:
    """Let a contact take a step, one that was woken if there is any."""
    contacts = at.consumer.contacts
    woken = sorted(name for name, contact in contacts.items() if contact.wake.is_set())
    peer = world.dice.choice(woken or sorted(at.settings["PEERS"]))
    return f"{peer}: {at.ask(peer)}"


def compare(world: World, at: Location) -> str:
    """Let the thread that compares digests look."""
    return at.step("digest") if world.has_digests else "there is none"


OPERATIONS = (
    Operation(12, people.create),
    Operation(26, people.change),
    Operation(4, people.say_again),
    Operation(10, people.open_form),
    Operation(12, people.save_form),
    Operation(6, people.delete),
    Operation(6, people.undelete),
    Operation(8, people.void),
    Operation(8, people.resolve),
    Operation(3, people.merge),
    Operation(2, people.restamp),
    Operation(6, people.change_many),
    Operation(24, number),
    Operation(16, send),
    Operation(20, feed),
    Operation(30, ask),
    Operation(5, compare),
    Operation(8, faults.crash),
    Operation(6, faults.interrupt),
    Operation(4, faults.cut),
    Operation(4, faults.heal),
    Operation(2, faults.lose),
    Operation(2, faults.arrive_late),
    Operation(5, topics.spoil_kafka),
    Operation(4, faults.set_clock),
    Operation(4, faults.fall_asleep),
    Operation(5, faults.wake),
    Operation(2, faults.upgrade),
    Operation(1, faults.lose_power),
    Operation(3, faults.back_up),
    Operation(2, faults.restore),
    Operation(2, faults.wrote_before_it_noticed),
)
