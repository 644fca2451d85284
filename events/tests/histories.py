"""Random histories of one entity: some locations with clocks of their own, each knowing a part.

One generator for both uses: it makes every choice with a function ``pick(n) -> 0 … n-1``, which
Hypothesis can shrink (``histories``) and a seeded random number generator makes fast
(``seeded``). An author follows the protocol: base and stamp come from what was in view, and a form
that is stale at its own location is refused.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from hypothesis import strategies as st

from events.envelope import Event, Fields
from events.fold import CLOSING_GROUPS, DELETED, MERGED_INTO, Row, RowKey, RowsOf, State, live
from events.registry import wide_rows
from events.stamp import Stamp, next_ts

Pick = Callable[[int], int]

ENTITY = UUID(int=0xE)
BEGINNING = 1_000_000
SKEWS = (0, 0, -40, 30, 500, 20_000)
TEXTS = ("a", "b", "c", None)
SAMPLE_GROUPS = {"title": ("title",), "price": ("amount", "currency"), "note": ("note",)}


@dataclass(frozen=True)
class Shape:
    """What the entities of a history are: the values of each group's fields, and their rows."""

    name: str
    groups: Mapping[str, Mapping[str, Sequence[str | None]]]
    rows: RowsOf


def detail_rows(state: State, groups: Collection[str] | None = None) -> Iterable[Row]:
    """A narrow row whose name is derived from several groups, and a row per detail."""
    name = " ".join(str(state[g]["value"]) for g in ("name", "surname") if _has_value(state, g))
    merged_into = state.get(MERGED_INTO, {}).get("value")
    naming = frozenset({"type", "name", "surname", MERGED_INTO})
    if groups is None or not naming.isdisjoint(groups):
        values = {"display_name": name, "merged_into": merged_into}
        yield Row(RowKey("entity", ""), naming, values)
    for group in state if groups is None else sorted(groups):
        if group not in {"type", *CLOSING_GROUPS} and _has_value(state, group):
            yield Row(RowKey("detail", group), frozenset({group}), {"value": dict(state[group])})


def _has_value(state: State, group: str) -> bool:
    return state.get(group, {}).get("value") is not None


WIDE = Shape(
    "wide",
    {
        "title": {"title": TEXTS},
        "price": {"amount": ("1.00", "2.00", None), "currency": ("EUR", "USD")},
        "note": {"note": TEXTS},
    },
    wide_rows("offer", SAMPLE_GROUPS),
)
DETAIL = Shape(
    "detail",
    {
        "type": {"value": ("PERSON", "INSTITUTION")},
        "surname": {"value": TEXTS},
        "name": {"value": TEXTS},
        "phone": {"value": TEXTS},
    },
    detail_rows,
)
SHAPES = (WIDE, DETAIL)


@dataclass
class Location:
    """What one location knows, in the order it learnt it, and the forms open there."""

    origin: str
    skew: int
    known: list[Event] = field(default_factory=list)
    made: list[Event] = field(default_factory=list)
    forms: list[int] = field(default_factory=list)  # how many events were known when it was made
    heard: dict[str, int] = field(default_factory=dict)  # origin → events taken from its stream


@dataclass
class History:
    """The events of one entity, and what each author had in view."""

    shape: Shape
    events: list[Event] = field(default_factory=list)
    in_view: dict[UUID, frozenset[UUID]] = field(default_factory=dict)
    locations: list[Location] = field(default_factory=list)

    def __repr__(self) -> str:
        lines = (
            f"{e.origin} {e.ts}"
            + (f" effective {e.effective}" if e.effective is not None else "")
            + f" {dict(e.set)} id {str(e.event_id)[:8]}"
            + f" base { {g: s and (s.ts, s.origin) for g, s in e.base.items()} }"
            + (f" voids {[str(v)[:8] for v in e.voids]}" if e.voids else "")
            for e in self.events
        )
        return f"{self.shape.name}:\n  " + "\n  ".join(lines)


def stamps_of(events: Iterable[Event]) -> dict[str, Stamp]:
    """Return the greatest stamp on each group among the events that are not withdrawn."""
    found: dict[str, Stamp] = {}
    for event in live(events):
        for group in event.set:
            found[group] = max(found.get(group, event.stamp), event.stamp)
    return found


def last_seen(view: Mapping[str, Stamp], named: Iterable[str]) -> dict[str, Stamp]:
    """Return the base of the last change an author knew of, among groups not named already."""
    others = sorted((stamp, group) for group, stamp in view.items() if group not in set(named))
    return {group: stamp for stamp, group in others[-1:]}


class _Making:
    """One history in the making."""

    def __init__(self, pick: Pick, shape: Shape, has_voids: bool) -> None:
        self.pick, self.has_voids, self.now = pick, has_voids, BEGINNING
        self.history = History(shape)
        self.history.locations = [
            Location(f"loc{n}", SKEWS[pick(len(SKEWS))]) for n in range(2 + pick(3))
        ]

    def run(self, length: int) -> History:
        self.write(self.history.locations[0], self.values())
        for _ in range(length):
            # Often at the same instant: stamps of several origins are then equal in time.
            self.now += 10 * self.pick(3)
            self.step(self.history.locations[self.pick(len(self.history.locations))])
        return self.history

    def step(self, at: Location) -> None:
        choice = self.pick(24)
        if choice < 8:
            self.deliver(at)
        elif choice < 11:
            at.forms.append(len(at.known))
        elif choice < 19 or not at.known:
            self.write(at, self.values())
        elif choice == 19:
            self.write(at, {DELETED: {"value": True}})
        elif choice < 22:
            self.write(at, {DELETED: {"value": False}})
        elif choice == 22:
            target = (None, str(UUID(int=1)), str(UUID(int=2)))[self.pick(3)]
            self.write(at, {MERGED_INTO: {"value": target}})
        elif self.has_voids:
            self.void(at)

    def deliver(self, to: Location) -> None:
        """Take some of another stream, in its order."""
        others = [other for other in self.history.locations if other is not to and other.made]
        if not others:
            return
        other = others[self.pick(len(others))]
        heard = to.heard.get(other.origin, 0)
        news = other.made[heard : heard + 1 + self.pick(4)]
        to.heard[other.origin] = heard + len(news)
        to.known += news

    def values(self) -> dict[str, Fields]:
        groups = self.history.shape.groups
        names = list(groups)
        wanted = {names[self.pick(len(names))] for _ in range(1 + self.pick(2))}
        return {
            group: {f: choices[self.pick(len(choices))] for f, choices in groups[group].items()}
            for group in sorted(wanted)
        }

    def void(self, at: Location) -> None:
        targets = [event for event in at.known if not event.voids]
        if targets:
            target = targets[self.pick(len(targets))]
            self.write(at, self.values() if self.pick(2) else {}, (target.event_id,))

    def write(self, at: Location, wanted: dict[str, Fields], voids: tuple[UUID, ...] = ()) -> None:
        """Make an event from a form, perhaps an old one, or from the record as it stands."""
        seen = at.known
        if at.forms and not voids and self.pick(2):
            seen = at.known[: at.forms.pop(self.pick(len(at.forms)))]
        stands = [e for e in live(at.known) if e.event_id not in voids]
        head, view = stamps_of(stands), stamps_of(seen)
        closes = any(group in wanted for group in CLOSING_GROUPS)
        groups = {*wanted, *CLOSING_GROUPS, *(head if closes else ())}
        if seen is not at.known and any(head.get(g) != view.get(g) for g in groups):
            return  # stale: refused at its own location
        ts = next_ts(self.now + at.skew, max((e.ts for e in stands), default=0))
        event = Event(
            event_id=UUID(int=(self.pick(2**16) << 112) | (len(self.history.events) + 1)),
            origin=at.origin,
            entity_uid=ENTITY,
            type=f"{self.history.shape.name}.changed",
            schema_version=1,
            ts=ts,
            tx=UUID(int=len(self.history.events)),
            set=wanted,
            base={group: head.get(group) for group in sorted(groups)} | last_seen(view, groups),
            effective=ts - 10 * self.pick(12) if self.pick(4) == 0 else None,
            voids=voids,
        )
        self.history.in_view[event.event_id] = frozenset(e.event_id for e in seen)
        self.history.events.append(event)
        at.known.append(event)
        at.made.append(event)


def make(pick: Pick, shape: Shape, length: int, *, has_voids: bool = True) -> History:
    """Return a history of ``length`` steps: writes, deliveries and forms."""
    return _Making(pick, shape, has_voids).run(length)


def seeded(seed: int, count: int, *, length: int = 18, has_voids: bool = True) -> Iterator[History]:
    """Yield ``count`` histories, the same for the same seed, of all shapes in turn."""
    chance = random.Random(seed)
    for n in range(count):
        yield make(chance.randrange, SHAPES[n % len(SHAPES)], length, has_voids=has_voids)


@st.composite
def histories(draw: st.DrawFn, *, length: int = 14, has_voids: bool = True) -> History:
    """Histories that Hypothesis can shrink."""

    def pick(n: int) -> int:
        return draw(st.integers(0, n - 1))

    shape = SHAPES[pick(len(SHAPES))]
    return make(pick, shape, 1 + pick(length), has_voids=has_voids)
