"""The sample module a release later: price is two groups, note is a remark, offers are renewed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from events.registry import STRUCTURAL_GROUPS, Kind, wide_rows
from events.versions import TEXT, Regrouped
from tests.sample.models import AMOUNT, FORMS, OFFER

Groups = Mapping[str, Mapping[str, Any]]

NEXT_GROUPS = {
    "title": ("title",),
    "amount": ("amount",),
    "currency": ("currency",),
    "remark": ("note",),
}


def split(price: Mapping[str, Any]) -> Groups:
    return {name: {name: price[name]} for name in ("amount", "currency")}


def joined(parts: Groups) -> Mapping[str, Any]:
    return {name: parts.get(name, {}).get(name) for name in ("amount", "currency")}


STEP = (
    Regrouped("price", ("amount", "currency"), FORMS["price"], split, joined),
    Regrouped(
        "note",
        ("remark",),
        FORMS["note"],
        lambda note: {"remark": note},
        lambda parts: parts["remark"],
    ),
)

NEXT_OFFER = Kind(
    name=OFFER.name,
    event_types={**dict.fromkeys(OFFER.event_types, 2), "sample.offer_renewed": 2},
    tables=OFFER.tables,
    rows=wide_rows("offer", NEXT_GROUPS),
    clear_groups=STRUCTURAL_GROUPS | {"title", "price", "amount", "currency"},
    groups={
        "title": FORMS["title"],
        "amount": {"amount": AMOUNT},
        "currency": {"currency": TEXT},
        "remark": {"note": TEXT},
    },
    steps=(STEP,),
)

# A release later in which offers have another version, and nothing else.
SAME_OFFER = replace(OFFER, event_types=dict.fromkeys(OFFER.event_types, 2), steps=((),))
