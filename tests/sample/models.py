from __future__ import annotations

from django.db import models

from events.models import Versioned
from events.registry import STRUCTURAL_GROUPS, Kind, wide_rows
from events.versions import TEXT

AMOUNT = {"type": ["string", "null"], "pattern": r"^-?[0-9]+\.[0-9]{2}$"}
FORMS = {
    "title": {"title": TEXT},
    "price": {"amount": AMOUNT, "currency": TEXT},
    "note": {"note": TEXT},
}
GROUPS = {"title": ("title",), "price": ("amount", "currency"), "note": ("note",)}


class Offer(Versioned):
    title = models.TextField(null=True)
    amount = models.DecimalField(max_digits=12, decimal_places=2, null=True)
    currency = models.TextField(null=True)
    note = models.TextField(null=True)


OFFER = Kind(
    name="sample.offer",
    event_types={"sample.offer_made": 1, "sample.offer_changed": 1, "sample.offer_closed": 1},
    tables={"offer": Offer},
    rows=wide_rows("offer", GROUPS),
    clear_groups=STRUCTURAL_GROUPS | {"title", "price"},
    groups=FORMS,
)
