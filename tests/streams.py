"""Two origins' streams over the same people: parallel edits, late news, deletions, big imports."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from unittest import mock
from uuid import UUID, uuid5

from consumers.apply import Applier
from consumers.tests.origins import NOW, SEEDS, SOURCE, number_all, pages
from consumers.verify import Run
from customers.kinds import ENTITY
from events import heads, recorder, streams
from events.drafting import Author, Draft
from tests.databases import TestDatabases

TEXTS = ("Ann", "Bob", "Çelik", "Dvořák", "Ek", None)
CODES = ("surname", "name", "phone", "email", "company", "notes")
MOST_IN_ONE = 200


def two_streams(databases: TestDatabases, events: int, seed: int = 5) -> dict[str, list[Run]]:
    """Return the pages of loc2 and loc3, ``events`` together.

    loc3 has seen the first half of loc2's stream when it writes; the second half is parallel.
    """
    dice = random.Random(seed)
    people = [uuid5(SOURCE, f"person {n}") for n in range(max(20, events // 10))]
    databases.renew()
    # Pages of a twentieth: a small history has parts that arrive before others, too.
    with mock.patch.object(streams, "PAGE", max(50, min(streams.PAGE, events // 20))):
        return _streams(databases, events, dice, people)


def _streams(
    databases: TestDatabases, events: int, dice: random.Random, people: Sequence[UUID]
) -> dict[str, list[Run]]:
    _write("loc2", dice, people, events // 2)
    two = pages("loc2")
    databases.renew()
    applier = Applier(lambda: NOW)
    for run in two[: max(1, len(two) // 2)]:
        applier.apply(run)
    _write("loc3", dice, people, events - events // 2)
    three = pages("loc3")
    databases.renew()
    return {"loc2": two, "loc3": three}


def _write(origin: str, dice: random.Random, people: Sequence[UUID], events: int) -> None:
    now, written = NOW, 0
    while written < events:
        now += dice.randrange(1, 3_000_000)
        size = 1 if dice.random() < 0.5 else dice.randrange(2, MOST_IN_ONE)
        chosen = dice.sample(people, min(size, len(people), events - written))
        drafts = list(_drafts(dice, chosen, now))
        written += len(recorder.record(drafts, Author(None, origin, now, f"{origin}-{now}")))
        if dice.random() < 0.2:
            number_all(origin, SEEDS[origin])
    number_all(origin, SEEDS[origin])


def _drafts(dice: random.Random, uids: Sequence[UUID], now: int) -> Iterator[Draft]:
    known = heads.read(uids)
    for uid in uids:
        head = known.get(uid)
        wanted: dict[str, dict[str, object]] = {
            code: {"value": dice.choice(TEXTS)} for code in dice.sample(CODES, dice.randrange(1, 4))
        }
        if head is None or not head.exists:
            yield Draft(uid, "customers.entity_created", {"type": {"value": "PERSON"}, **wanted},
                        ENTITY, is_new=True)  # fmt: skip
            continue
        is_late = dice.random() < 0.1
        if dice.random() < 0.05:
            wanted = {"deleted": {"value": not head.memo.is_deleted}}
        yield Draft(uid, "customers.details_changed", wanted, ENTITY,
                    effective=now - dice.randrange(60_000_000) if is_late else None)  # fmt: skip
