"""Releases that follow each other: each has one more version of customers' events than the last.

In an older version a note ends with a mark, if it was not written in that one itself; so whoever
reads a version must bring it to the present form, and a note is what its client sent again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from django.apps import AppConfig

if TYPE_CHECKING:
    from events.registry import Kind

VARIABLE: Final = "SINS_CHAOS_RELEASE"  # how many versions more than the code has
CHANGED: Final = "notes"

Fields = Mapping[str, Any]


class Releases(AppConfig):
    """Lets the code be that of a later release; it comes before whoever has the customers."""

    name = "ops.chaos.processes"
    label = "chaos"

    def ready(self) -> None:
        """Give customers' events their version, before anybody asks for it."""
        from customers import kinds

        kinds.ENTITY = later(kinds.ENTITY, int(os.environ[VARIABLE]))


def later(kind: Kind, count: int) -> Kind:
    """Return a kind as it is so many releases later."""
    from events.versions import Regrouped

    steps = [*kind.steps]
    for number in range(len(steps) + 1, len(steps) + count + 1):
        mark = f" ({number})"

        def up(fields: Fields, mark: str = mark) -> Mapping[str, Fields]:
            text = fields["value"]
            return {CHANGED: {"value": text if text is None else text.removesuffix(mark)}}

        def down(state: Mapping[str, Fields], mark: str = mark) -> Fields:
            text = state[CHANGED]["value"]
            return {"value": text if text is None else f"{text}{mark}"}

        steps.append([Regrouped(CHANGED, (CHANGED,), kind.groups[CHANGED], up, down)])
    types = dict.fromkeys(kind.event_types, len(steps) + 1)
    return replace(kind, steps=tuple(steps), event_types=types)
