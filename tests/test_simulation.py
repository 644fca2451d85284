"""Several locations under every fault there is: a few seeds here, many with `ops.chaos`."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from pytest_django import DjangoDbBlocker

from consumers import apply
from events import chain, cursors, heads, recorder, sequencer
from ops.chaos.simulation.disks import Disks
from ops.chaos.simulation.operations import OPERATIONS
from ops.chaos.simulation.run import Outcome, simulate
from tests.databases import TestDatabases

pytestmark = [pytest.mark.feature("S03"), pytest.mark.feature("S04")]

CHECKOUT = Path(__file__).resolve().parent.parent
SEEDS = (1, 2, 3, 5)
# Within these seeds a planted bug has to be caught; they begin with one of a small world.
PLANTED = range(7, 19)


@pytest.fixture(scope="module")
def disks(databases: TestDatabases, django_db_blocker: DjangoDbBlocker) -> Iterator[Disks]:
    with django_db_blocker.unblock():
        disks = Disks(databases)
        yield disks
        disks.close()


def replay(outcome: Outcome) -> str:
    """Return how to see a failed seed again, and how it ended."""
    return "\n".join([
        *outcome.trace[-20:],
        f"{outcome.failure}",
        f"--seed {outcome.seed} --operations {outcome.operations} --trace",
    ])  # fmt: skip


@pytest.mark.parametrize("seed", [*SEEDS, None], ids=[*map(str, SEEDS), "fresh"])
def test_locations_end_equal_and_nothing_acknowledged_is_missing(
    disks: Disks, seed: int | None
) -> None:
    outcome = simulate(disks, secrets.randbelow(2**32) if seed is None else seed, 200)
    assert outcome.failure is None, replay(outcome)
    assert outcome.counts["operations"] == 200


def test_a_seed_replays_exactly(disks: Disks, tmp_path: Path) -> None:
    """In this process and in another, with strings hashed otherwise."""
    seed, operations = 4, 120
    here = simulate(disks, seed, operations)
    done = subprocess.run(
        [sys.executable, "-m", "ops.chaos.simulation", "--seed", str(seed),
         "--operations", str(operations), "--report", str(tmp_path / "report.jsonl")],
        cwd=CHECKOUT, env={"PYTHONHASHSEED": "1", "PATH": "/usr/bin:/bin"}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = (tmp_path / "report.jsonl").read_text().splitlines()
    there = json.loads(line)
    assert (here.digest, here.counts) == (there["digest"], there["counts"])
    assert here.digest != simulate(disks, seed + 1, operations).digest


def unfenced(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cursor is moved wherever it stands."""
    statement = cursors._FENCE.replace("AND seq = %(after)s", "AND %(after)s IS NOT NULL")
    monkeypatch.setattr(cursors, "_FENCE", statement)


def tailed_by_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sequencer goes on behind the greatest outbox id it has seen."""
    last: Counter[str] = Counter()
    whole = sequencer._whole

    def beyond(rows: Sequence[sequencer.Row]) -> list[sequencer.Row]:
        own = settings.LOCATION_ID
        found = whole([row for row in rows if row[0] > last[own]])
        last[own] = max([last[own], *(row[0] for row in found)])
        return found

    monkeypatch.setattr(sequencer, "_whole", beyond)


def drops_equal_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who applies leaves out what is so already."""

    def receive(sealed: Any, received: recorder.Received) -> Any:
        there = heads.read([item.event.entity_uid for item in sealed])
        states = {uid: head.memo.state for uid, head in there.items()}
        kept = [
            item
            for item in sealed
            if not item.event.set
            or any(
                states.get(item.event.entity_uid, {}).get(group) != fields
                for group, fields in item.event.set.items()
            )
        ]
        return recorder.receive(kept, received)

    monkeypatch.setattr(apply, "receive", receive)


def believes_every_head(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever Kafka brings is taken for what its origin signed."""

    def verified(run: Any, position: Any) -> Any:
        items = [item for item in run.items if item.seq > position.seq]
        chained = chain.steps(position.chain, (item.raw for item in items))
        return [replace(item, chain=value) for item, value in zip(items, chained, strict=True)]

    monkeypatch.setattr(apply, "verified", verified)


@pytest.mark.parametrize(
    "plant",
    [unfenced, tailed_by_id, drops_equal_values, believes_every_head],
)
def test_a_planted_bug_is_caught(
    disks: Disks, monkeypatch: pytest.MonkeyPatch, plant: Callable[[pytest.MonkeyPatch], None]
) -> None:
    plant(monkeypatch)
    without_losses = [each for each in OPERATIONS if each.happens.__name__ != "restore"]
    for seed in PLANTED:
        if simulate(disks, seed, 200, without_losses).failure is not None:
            return
    pytest.fail(f"not within seeds {PLANTED}")
