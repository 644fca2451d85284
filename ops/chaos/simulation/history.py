"""What clients sent, and what they were told: the oracle of a run, never the databases."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from customers import queries
from events.drafting import Author
from events.envelope import Fields
from events.errors import AlreadyExists, InvalidValue, NotOpen, Parked, Recovering, Stale, Unknown
from events.fold import CLOSING_GROUPS, DELETED
from events.stamp import Stamp
from ops.chaos.simulation.location import WEB, Location

ACKNOWLEDGED, REFUSED, UNKNOWN = "acknowledged", "refused", "unknown"
# Why a write may be refused; anything else is a fault of the product.
REFUSALS = (AlreadyExists, NotOpen, Parked, Recovering, Stale, Unknown)
ACTOR = UUID(int=7)
LOOKED_AT = 3  # every third client reads at once what was acknowledged

_KNOWN = "SELECT event_id FROM events_event WHERE entity_uid = %s AND position(%s in raw) = 0"

Command = Callable[[Author], Iterable[UUID]]  # returns the entities that it was told have changed


@dataclass(slots=True)
class Write:
    """One write as its client sees it: which groups of which entities are to become what."""

    request_id: str
    location: str
    wanted: Mapping[UUID, Mapping[str, Fields]]
    effective: int | None = None
    voids: tuple[UUID, ...] = ()
    resolves: tuple[str, ...] = ()
    outcome: str = UNKNOWN
    made: frozenset[UUID] = frozenset()  # the entities of which the client was told: changed
    in_view: dict[UUID, frozenset[UUID]] = field(default_factory=dict)
    is_lost: bool = False  # with the disk of its location, before anybody else had it


@dataclass(frozen=True, slots=True)
class Gone:
    """An event that was lost with the last disk that had it, and which groups it set."""

    entity_uid: UUID
    stamp: Stamp
    groups: frozenset[str]


@dataclass(frozen=True, slots=True)
class Form:
    """A record as someone has it on the screen."""

    location: str
    entity_uid: UUID
    known: Mapping[str, Stamp]
    etag: str
    in_view: frozenset[UUID]


class BrokenPromise(AssertionError):
    """Something that has to hold does not."""


@dataclass
class History:
    """All writes of all clients, in the order in which they were sent, and the forms still open.

    ``gone`` are events that were lost; one of them may come back with Kafka.
    """

    writes: list[Write] = field(default_factory=list)
    forms: list[Form] = field(default_factory=list)
    gone: dict[UUID, Gone] = field(default_factory=dict)

    def request_id(self) -> str:
        """Return the id of the next request."""
        return f"request-{len(self.writes):06}"

    def send(self, at: Location, write: Write, command: Command, form: Form | None = None) -> str:
        """Send a write, and note what the client was told; return it in a word."""
        self.writes.append(write)
        thread = at.free_worker()
        if thread is None:
            write.outcome = REFUSED
            return "nobody answers"
        refusals: list[str] = []
        is_alone = not at.seams[WEB].is_set
        said = at.run(thread, lambda: _ask(at, write, command, refusals))
        if said == "done":
            write.outcome = REFUSED if refusals else ACKNOWLEDGED
        for uid in write.wanted:
            write.in_view[uid] = form.in_view if form else known(at, uid, write)
        if write.outcome == ACKNOWLEDGED and is_alone and len(self.writes) % LOOKED_AT == 0:
            check_own_write(at, write)
        return " ".join([*refusals, said if said != "done" else write.outcome])


def _ask(at: Location, write: Write, command: Command, refusals: list[str]) -> None:
    author = Author(ACTOR, at.name, at.clock.now(), write.request_id)
    try:
        write.made = frozenset(command(author))
    except REFUSALS as exc:
        refusals.append(type(exc).__name__)
    except InvalidValue as exc:
        # A clock that is fast makes of a moment ago one that is still to come.
        if write.effective is None or exc.field != "effective":
            raise
        refusals.append(type(exc).__name__)


def known(at: Location, uid: UUID, write: Write | None = None) -> frozenset[UUID]:
    """Return the events of an entity that are at a location, but for those of ``write``."""
    request = write.request_id if write else "no request"
    return frozenset(row[0] for row in at.rows(_KNOWN, uid, request.encode()))


def check_own_write(at: Location, write: Write) -> None:
    """I7: who was told that it is written reads it at once."""
    if write.effective is not None or write.voids:
        return  # what is shown now may be something else, or nothing at all
    for uid in write.made:
        with at.on("observer"):
            found = queries.get(uid)
        wanted = write.wanted[uid]
        if DELETED in wanted and found.is_deleted != wanted[DELETED]["value"]:
            raise BrokenPromise(f"I7: {write.request_id}: is not {wanted.keys()}")
        for group in wanted.keys() - {"type", "display_name", *CLOSING_GROUPS}:
            shown = found.values.get(group)
            if not found.is_deleted and shown != wanted[group]["value"]:
                raise BrokenPromise(f"I7: {write.request_id}: {group} is not what was written")
