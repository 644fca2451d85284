"""Python = SQL, incremental = from scratch, and nothing lost unseen, over thousands of histories.

``LAWS_SHARE=10000`` in the environment makes each law take that many histories.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid5

import pytest

from customers.kinds import entity_rows
from events.conflicts import Conflict, conflicts, item_id
from events.envelope import Event, Fields
from events.fold import CLOSING_GROUPS, DELETED, fold, live, resume
from events.heads import Head
from events.refold import has_open_voids, is_fast
from events.tests.histories import (
    DETAIL,
    ENTITY,
    SAMPLE_GROUPS,
    History,
    last_seen,
    seeded,
    stamps_of,
)
from events.tests.making import event
from events.tests.test_conflicts import in_inbox, unseen_closings, unseen_losses
from events.tests.test_fold import joined
from tests import oracle, sample
from tests.sample.models import GROUPS

pytestmark = pytest.mark.feature("S04")

SHARE = int(os.environ.get("LAWS_SHARE", "600"))
BATCH = 300
SEEDS = [int(seed) for seed in os.environ.get("LAWS_SEEDS", "1").split(",")]


def batches(seed: int) -> Iterator[list[History]]:
    """Yield histories in batches, some of them with resolved conflicts."""
    chance = random.Random(seed)
    made = seeded(seed, SHARE, length=24)
    for _ in range(0, SHARE, BATCH):
        yield [with_resolutions(h, chance) for h, _ in zip(made, range(BATCH), strict=False)]


def with_resolutions(history: History, chance: random.Random) -> History:
    """Return the history with some events closing some of its conflicts, or what is none."""
    items = [c.item_id for c in conflicts(history.events)]
    if not items or chance.random() < 0.5:
        return history
    items.append(item_id(ENTITY, ENTITY, "none"))
    events = [
        replace(e, resolves=tuple(chance.sample(items, 1))) if chance.random() < 0.3 else e
        for e in history.events
    ]
    return replace(history, events=events)


def kind_of(history: History) -> str:
    return oracle.CUSTOMER if history.shape is DETAIL else oracle.OFFER


def in_python(history: History, events: list[Event]) -> oracle.Verdict:
    rows = entity_rows if history.shape is DETAIL else history.shape.rows
    return oracle.Verdict(
        {
            oracle.VersionRow(
                *v.key, v.valid_from, v.valid_to, oracle.plain(dict(v.values)), v.event_id
            )
            for v in fold(events, rows).versions
        },
        {
            oracle.Item(c.item_id, c.group, c.earlier, c.later, c.is_closing, c.resolved_by)
            for c in conflicts(events)
        },
    )


@pytest.mark.django_db
@pytest.mark.parametrize("seed", SEEDS)
def test_python_and_sql_say_the_same(seed: int) -> None:
    chance = random.Random(seed)
    counted = {"versions": 0, "items": 0, "closing": 0, "resolved": 0}
    for batch in batches(seed):
        # As they may arrive: in any order, some twice.
        arrived = [h.events + chance.choices(h.events, k=2) for h in batch]
        for events in arrived:
            chance.shuffle(events)
        said = oracle.verdicts([(kind_of(h), e) for h, e in zip(batch, arrived, strict=True)])
        for history, verdict in zip(batch, said, strict=True):
            expected = in_python(history, history.events)
            assert verdict.versions == expected.versions, history
            assert verdict.items == expected.items, history
            counted["versions"] += len(verdict.versions)
            counted["items"] += len(verdict.items)
            counted["closing"] += sum(item.is_closing for item in verdict.items)
            counted["resolved"] += sum(item.resolved_by is not None for item in verdict.items)
    # A law that met nothing would say nothing.
    assert all(count > SHARE / 20 for count in counted.values()), counted


@pytest.mark.feature("S03")
@pytest.mark.parametrize("seed", SEEDS)
def test_going_on_is_starting_over_wherever_the_fast_path_is_taken(seed: int) -> None:
    chance = random.Random(seed)
    taken = 0
    for history in seeded(seed, SHARE, length=24):
        for location in history.locations:
            taken += apply_in_turn(history, location.known, chance)
    assert taken > SHARE


def apply_in_turn(history: History, arriving: list[Event], chance: random.Random) -> int:
    """Apply events as they arrived, in steps; return how often the fast path was taken."""
    done, taken = 0, 0
    while done < len(arriving):
        here = arriving[:done]
        new = sorted(arriving[done : done + chance.randint(1, 3)], key=lambda e: e.stamp)
        folded = fold(here, history.shape.rows)
        head = Head(
            ENTITY,
            history.shape.name,
            folded.memo,
            has_open_voids=has_open_voids(here),
            has_closing_conflicts=any(item.is_closing for item in conflicts(here)),
        )
        whole = fold([*here, *new], history.shape.rows)
        if is_fast(head, new):
            taken += 1
            gone_on = resume(folded.memo, new, history.shape.rows)
            assert gone_on.memo == whole.memo
            assert joined(folded, gone_on) == joined(whole)
            # Going on looks for no conflict: none may come, and none may go.
            assert conflicts([*here, *new]) == conflicts(here)
        done += len(new)
    return taken


@pytest.mark.feature("S04")
@pytest.mark.parametrize("seed", SEEDS)
def test_no_other_group_feeds_a_row(seed: int) -> None:
    """A fold looks only at rows that the groups of an event feed: no other may change."""
    asked = 0
    for history in seeded(seed, SHARE, length=12):
        state = fold(history.events, history.shape.rows).memo.state
        every = entity_rows if history.shape is DETAIL else history.shape.rows
        for group in state:
            fed = {row.key: row for row in every(state, {group})}
            whole = {row.key: row for row in every(state, None)}
            assert fed.items() <= whole.items()
            assert {key for key, row in whole.items() if group in row.groups} <= fed.keys()
            changed = {row.key: row for row in every({**state, group: {}}, None)}
            for key in whole.keys() | changed.keys():
                if whole.get(key) != changed.get(key):
                    asked += 1
                    row = whole.get(key) or changed[key]
                    assert group in row.groups
    assert asked > SHARE / 2


@pytest.mark.feature("S05")
@pytest.mark.parametrize("seed", SEEDS)
def test_no_losing_value_is_lost_unseen(seed: int) -> None:
    losses = closings = 0
    for history in seeded(seed, SHARE * 5, length=24):
        inbox = in_inbox(history)
        for lost, group in unseen_losses(history):
            losses += 1
            assert lost.event_id in inbox[group], history
        items = {(c.group, c.earlier, c.later) for c in conflicts(history.events)}
        for closing, edit, group in unseen_closings(history):
            closings += 1
            one, other = sorted((closing, edit), key=lambda e: e.stamp)
            assert (group, one.event_id, other.event_id) in items, history
    assert min(losses, closings) > SHARE / 2


@pytest.mark.feature("S05")
@pytest.mark.parametrize("seed", SEEDS)
def test_two_who_settle_one_item_apart_agree_or_make_one_new_item(seed: int) -> None:
    chance = random.Random(seed)
    agreed = disagreed = 0
    for history in seeded(seed, SHARE * 2, length=24):
        before = conflicts(history.events)
        if not before:
            continue
        item = chance.choice(before)
        wanted = [settling(history, item, chance) for _ in range(2)]
        one, two = (
            settled_at(origin, history, item, values)
            for origin, values in zip(("loc8", "loc9"), wanted, strict=True)
        )
        after = {c.item_id: c for c in conflicts([two, *history.events, one])}
        assert after[item.item_id].resolved_by == one.event_id
        new = after.keys() - {c.item_id for c in before}
        is_same = any(not values for values in wanted) or wanted[0] == wanted[1]
        expected = [item_id(one.event_id, two.event_id, group) for group in one.set]
        assert new == set([] if is_same else expected), history
        agreed, disagreed = agreed + is_same, disagreed + (not is_same)
    assert min(agreed, disagreed) > SHARE / 20


def settling(history: History, item: Conflict, chance: random.Random) -> dict[str, Fields]:
    """Return what a person may set to settle an item: nothing, or one of three values."""
    by_id = {e.event_id: e for e in history.events}
    if item.is_closing:
        return chance.choice([{}, {DELETED: {"value": False}}, {DELETED: {"value": True}}])
    said = [dict(by_id[uid].set[item.group]) for uid in (item.earlier, item.later)]
    another = dict.fromkeys(said[0], "another")
    values: list[dict[str, Fields]] = [{item.group: fields} for fields in [*said, another]]
    return chance.choice([{}, *values])


def settled_at(origin: str, history: History, item: Conflict, values: dict[str, Fields]) -> Event:
    """Return the event of a person who knows all of a history and settles an item."""
    known = stamps_of(history.events)
    closes = any(group in values for group in CLOSING_GROUPS)
    groups = {*values, *CLOSING_GROUPS, *(known if closes else ())}
    return event(
        1 + max(e.ts for e in history.events),
        values,
        origin=origin,
        event_id=uuid5(ENTITY, origin),
        base={group: known.get(group) for group in groups} | last_seen(known, groups),
        resolves=(item.item_id,),
    )


def test_histories_are_worth_the_trouble() -> None:
    made = list(seeded(3, 300, length=24))
    events = [e for h in made for e in h.events]
    assert len(events) > 2_000
    assert any(e.effective is not None and e.effective < e.ts for e in events)
    assert any(e.voids for e in events)
    for history in made:
        assert len({e.event_id for e in history.events}) == len(history.events)
    equal = [h for h in made if len({e.ts for e in h.events}) < len({e.stamp for e in h.events})]
    assert len(equal) > 30
    backdated_before_the_record = [
        h
        for h in made
        for floor in [min(live(h.events), key=lambda e: e.stamp).effective_at]
        if any(e.effective_at < floor for e in live(h.events))
    ]
    assert len(backdated_before_the_record) > 30
    assert GROUPS == SAMPLE_GROUPS
    assert sample.__doc__
