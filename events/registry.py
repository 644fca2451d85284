"""The kinds of entity this location knows: what their events are and which rows they make.

``events`` knows no customer. A module registers its kinds when Django loads it; from then on they
have history, audit, conflicts, sync and digests like every other.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from events.fold import CLOSING_GROUPS, Row, RowKey, RowsOf, State
from events.versions import Forms, Step

if TYPE_CHECKING:
    from django.db.models import Model

    from events.models import Versioned

# Groups that say nothing about a person and stand in an event's clear part.
STRUCTURAL_GROUPS = frozenset({"type", *CLOSING_GROUPS})


@dataclass(frozen=True, slots=True)
class Derived:
    """Unversioned rows that follow an entity's present state, such as search keys.

    ``groups`` are those that feed them; ``rows`` returns the rows as ``{column: value}`` without
    ``entity_uid``.
    """

    model: type[Model]
    groups: frozenset[str]
    rows: Callable[[State], Iterable[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class GenesisEntity:
    """A built-in entity with a code, the same everywhere: an entity type, a detail type.

    ``n`` is the stamp of its genesis event for ever; a changed definition is one more entry with
    the same code and the next free ``n`` of its kind. Its bytes are for ever, too: it stays of the
    ``schema_version`` in which it was first written.
    """

    n: int
    code: str
    set: Mapping[str, Mapping[str, Any]]
    schema_version: int = 1


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of entity.

    ``event_types`` maps each event type to its schema version, the same for all: 1 and one more
    for each of ``steps``. ``groups`` are the forms of the present version, ``key_*`` that of all
    groups whose names begin so; ``clear_groups`` those that hold nothing personal, older names
    included. ``rows`` is pure.
    """

    name: str
    event_types: Mapping[str, int]
    tables: Mapping[str, type[Versioned]]
    rows: RowsOf
    clear_groups: frozenset[str] = STRUCTURAL_GROUPS
    derived: Sequence[Derived] = ()
    genesis: Sequence[GenesisEntity] = field(default=())
    genesis_type: str = ""
    groups: Forms = field(default_factory=dict)
    steps: Sequence[Step] = ()

    @property
    def version(self) -> int:
        """The version of its events that this release writes when all can read it."""
        return len(self.steps) + 1

    def is_personal(self, group: str) -> bool:
        """Whether values of ``group`` may only be kept sealed in the log."""
        return group not in self.clear_groups


_kinds: dict[str, Kind] = {}
_by_type: dict[str, Kind] = {}


def register(kind: Kind) -> Kind:
    """Make ``kind`` known; ``ValueError`` if its name or one of its event types is taken."""
    taken = [event_type for event_type in kind.event_types if event_type in _by_type]
    if kind.name in _kinds or taken:
        raise ValueError(f"{kind.name} or {taken} is registered already")
    if set(kind.event_types.values()) != {kind.version}:
        raise ValueError(f"{kind.name}: all events are of version {kind.version}")
    if len({entity.n for entity in kind.genesis}) < len(kind.genesis):
        raise ValueError(f"{kind.name}: a genesis number is used twice")
    _kinds[kind.name] = kind
    _by_type.update(dict.fromkeys(kind.event_types, kind))
    return kind


def kinds() -> tuple[Kind, ...]:
    """Return all registered kinds, ordered by name."""
    return tuple(_kinds[name] for name in sorted(_kinds))


def kind_named(name: str) -> Kind:
    """Return the kind of that name; ``KeyError`` if it is not registered."""
    return _kinds[name]


def kind_of_type(event_type: str) -> Kind | None:
    """Return the kind an event type belongs to; ``None`` if no module here knows it."""
    return _by_type.get(event_type)


def versions() -> dict[str, int]:
    """Return the version of each kind: what is folded here is folded in it."""
    return {kind.name: kind.version for kind in kinds()}


def event_types() -> dict[str, int]:
    """Return the newest version of each event type that this release reads."""
    return {name: version for kind in kinds() for name, version in kind.event_types.items()}


def wide_rows(table: str, groups: Mapping[str, Sequence[str]]) -> RowsOf:
    """Return the ``rows`` of a model with one row per entity, its columns fed by ``groups``."""
    key, feeding = RowKey(table, ""), frozenset(groups)

    def rows(state: State, _: Collection[str] | None = None) -> Iterable[Row]:
        if feeding.isdisjoint(state):
            return
        values = {
            column: state.get(group, {}).get(column)
            for group, columns in groups.items()
            for column in columns
        }
        yield Row(key, feeding, values)

    return rows


def coded_uid(network: UUID, kind: str, code: str) -> UUID:
    """Return the uid of what has a code: two locations that propose one code mean one entity."""
    return uuid5(network, f"{kind}:{code}")
