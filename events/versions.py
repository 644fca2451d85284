"""The form of a kind's groups, and how it changed from one schema version to the next.

All events of a kind share its groups, so they share its version. Stored bytes are never rewritten:
what an older release wrote is brought to the present form when it is read (``upcast``), and as long
as a location cannot read the present form, events are written in an older one (``older``).

From one version to the next a group may be renamed, split, dropped, or hold its values otherwise.
Two groups are never joined: an event that set one of them would not say what the other is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from events.envelope import MALFORMED, Event, Fields
from events.errors import UndecodableEvent
from events.fold import State
from events.stamp import Stamp

Form = Mapping[str, Any]  # the JSON Schema (2020-12) of one field's values
Forms = Mapping[str, Mapping[str, Form]]  # group → field → its form

TEXT: Form = {"type": ["string", "null"]}
BOOLEAN: Form = {"type": ["boolean", "null"]}
INTEGER: Form = {"type": ["integer", "null"]}
DATE: Form = {"type": ["string", "null"], "format": "date"}
UID: Form = {"type": ["string", "null"], "format": "uuid"}


@dataclass(frozen=True, slots=True)
class Regrouped:
    """What became of ``group`` in the next version: the groups ``into``, whose name may be its own.

    ``fields`` is the form it had. ``up`` makes the fields of all of ``into`` of its own. ``down``
    is the way back, from those of ``into`` that were ever set; it is None once this release does
    not write the older version any more. Both are pure.
    """

    group: str
    into: tuple[str, ...]
    fields: Mapping[str, Form]
    up: Callable[[Fields], State]
    down: Callable[[State], Fields] | None


# The changes of one version; without any, only the rows that follow from the events are others.
Step = Sequence[Regrouped]


def upcast(event: Event, steps: Sequence[Step]) -> Event:
    """Return an event in its kind's present form; the first step leads from version 1 to 2.

    A group whose values cannot be read here (it has no fields) is only renamed.
    ``UndecodableEvent`` if its values are not of the form its version has.
    """
    try:
        for step in steps[event.schema_version - 1 :]:
            event = _upcast(event, step)
    except (*MALFORMED, ArithmeticError, LookupError) as exc:
        raise UndecodableEvent from exc
    return event


def _upcast(event: Event, step: Step) -> Event:
    into = {change.group: change.into for change in step}
    formerly = {
        name: (*event.formerly.get(group, ()), *([group] if group in into else []))
        for group in event.set
        for name in into.get(group, (group,))
    }
    base = {
        name: stamp for group, stamp in event.base.items() for name in into.get(group, (group,))
    }
    return replace(
        event,
        schema_version=event.schema_version + 1,
        set=newer(event.set, [step]),
        base=base,
        formerly={name: names for name, names in formerly.items() if names},
    )


def newer(values: State, steps: Sequence[Step]) -> State:
    """Return values in the form after ``steps``."""
    for step in steps:
        changes = {change.group: change for change in step}
        found: dict[str, Fields] = {}
        for group, fields in values.items():
            change = changes.get(group)
            if change is None:
                found[group] = fields
            else:
                found |= change.up(fields) if fields else dict.fromkeys(change.into, fields)
        values = found
    return values


def older(
    changed: State, known: State, stamps: Mapping[str, Stamp], steps: Sequence[Step]
) -> tuple[State, Mapping[str, Stamp]]:
    """Return what a change sets, and the stamps of all groups, in the form before ``steps``.

    Groups are written whole: what a change leaves as it is comes from ``known``, the state it is
    about. An older group has the smallest stamp of what it became: what its author may not have
    seen counts as unseen.
    """
    for step in reversed(steps):
        changed, known = _older(changed, known, step), _older(known, known, step)
        stamps = _older_stamps(stamps, step)
    return changed, stamps


def _older(values: State, known: State, step: Step) -> State:
    at_hand = {**known, **values}
    found = {
        change.group: change.down({name: at_hand[name] for name in change.into if name in at_hand})
        for change in step
        if change.down is not None and not values.keys().isdisjoint(change.into)
    }
    return _untouched(values, step) | found


def _older_stamps(stamps: Mapping[str, Stamp], step: Step) -> Mapping[str, Stamp]:
    found = {
        change.group: min(stamps[name] for name in change.into)
        for change in step
        if change.into and stamps.keys() >= set(change.into)
    }
    return _untouched(stamps, step) | found


def older_name(group: str, steps: Sequence[Step]) -> str:
    """Return what a group was called, or was part of, before ``steps``."""
    for step in reversed(steps):
        group = next((change.group for change in step if group in change.into), group)
    return group


def _untouched(by_group: Mapping[str, Any], step: Step) -> dict[str, Any]:
    touched = {name for change in step for name in change.into}
    return {group: value for group, value in by_group.items() if group not in touched}


def forms_before(forms: Forms, steps: Sequence[Step]) -> Forms:
    """Return the forms of the groups as they were before ``steps``."""
    for step in reversed(steps):
        forms = _untouched(forms, step) | {change.group: change.fields for change in step}
    return forms
