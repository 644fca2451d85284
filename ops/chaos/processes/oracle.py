"""``python -m ops.chaos.processes.oracle``: the events of a location, and what is wrong with rows.

In the location's environment, as its owner. Prints a JSON line for each event that a client asked
for, opened, and a sentence for each record that is not what the second fold makes of its events.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

if TYPE_CHECKING:
    from events.envelope import Event

BATCH: Final = 500  # records
EVENT, WRONG = "event", "wrong"


def main() -> None:
    """Look at all customers, batch by batch."""
    os.environ["DATABASE_URL"] = os.environ["DATABASE_OWNER_URL"]  # the oracle makes tables
    import django

    django.setup()
    # Django has to be set up before.
    from events import log
    from ops.chaos.folding import wrong_rows

    uids = _customers()
    for start in range(0, len(uids), BATCH):
        events = log.load(uids[start : start + BATCH])
        for of_one in events.values():
            for event in of_one:
                print(json.dumps({EVENT: _line(event)}))
        for sentence in wrong_rows(events):
            print(json.dumps({WRONG: sentence}))


def read(output: str) -> Iterator[tuple[str, Any]]:
    """Yield what ``main`` printed: ``("event", {…})`` and ``("wrong", sentence)``."""
    for line in output.splitlines():
        yield from json.loads(line).items()


def _customers() -> Sequence[UUID]:
    from customers.kinds import ENTITY
    from events.models import EntityHead

    heads = EntityHead.objects.filter(kind=ENTITY.name).order_by("entity_uid")
    return list(heads.values_list("entity_uid", flat=True))


def _line(event: Event) -> dict[str, Any]:
    return {
        "event_id": str(event.event_id),
        "request_id": event.request_id,
        "origin": event.origin,
        "entity_uid": str(event.entity_uid),
        "tx": str(event.tx),
        "tx_size": event.tx_size,
        "groups": {group: fields.get("value") for group, fields in event.set.items()},
    }


if __name__ == "__main__":
    main()
