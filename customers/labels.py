"""What the codes of a customer are called on pages, in the order people read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

Text: TypeAlias = "str | _StrPromise"

DETAIL_LABELS: dict[str, Text] = {
    "surname": _("Surname"),
    "name": _("Name"),
    "dob": _("Date of birth"),
    "document_number": _("Document number"),
    "phone": _("Phone"),
    "email": _("E-mail"),
    "company": _("Company"),
    "notes": _("Notes"),
    "owner": _("Owner"),
}
TYPE_LABELS: dict[str, Text] = {"PERSON": _("Person"), "INSTITUTION": _("Institution")}
OTHER_LABELS: dict[str, Text] = {
    "display_name": _("Shown as"),
    "entity_type": _("Type"),
    "type": _("Type"),
    "merged_into": _("Merged into"),
    "deleted": _("Record"),
}
# What happened to a record or to one of its values, in the words of its history.
HAPPENED: dict[str, Text] = {
    "entered": _("entered"),
    "changed": _("changed"),
    "removed": _("removed"),
    "closed": _("closed"),
    "restored": _("opened again"),
}
# How a conflict was settled.
CHOSEN: dict[str, Text] = {
    "keep": _("kept"),
    "swap": _("swapped"),
    "enter": _("another value entered"),
}
# What an event is, for who counts them.
EVENT_LABELS: dict[str, Text] = {
    "customers.entity_created": _("Customer entered"),
    "customers.details_changed": _("Customer changed"),
    "customers.entity_deleted": _("Customer closed"),
    "customers.entity_restored": _("Customer opened again"),
    "customers.conflict_resolved": _("Conflict settled"),
}


def label_of(code: str) -> Text:
    """Return what a detail code or group is called; the code itself if it has no name here."""
    return DETAIL_LABELS.get(code) or OTHER_LABELS.get(code) or code
