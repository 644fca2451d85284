"""What waits for repair here, for the sync page: dead letters and parked records, and a retry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.authors import now_us
from consumers import dead_letters
from consumers.dead_letters import Kept
from consumers.retries import Retrier
from customers.labels import Text
from events import heads
from events.rebuilding import Selection, rebuild_all
from events.refold import INCOMPLETE

MOST: Final = 20  # of each are shown; the commands show all
SOURCES: Final[Mapping[str, Text]] = {
    dead_letters.KAFKA: gettext_lazy("Kafka"),
    dead_letters.PULL: gettext_lazy("another location"),
    dead_letters.STREAM: gettext_lazy("its origin, with a number"),
}
# Why a record is parked; whatever else is an error of code or database.
REASONS: Final[Mapping[str, Text]] = {
    "MissingKey": gettext_lazy("the key of its values is not here"),
    "UnknownEvent": gettext_lazy("this release does not know one of its events"),
    "UndecodableEvent": gettext_lazy("one of its events is not of the form it says"),
    INCOMPLETE: gettext_lazy("a transaction of its is not whole"),
}


@dataclass(frozen=True, slots=True)
class ParkedRow:
    """A parked record, why it is, and whether there is a page of it."""

    entity_uid: UUID
    reason: Text
    is_customer: bool


def waiting() -> dict[str, Any]:
    """Return the first of both lists."""
    return {
        "letters": [_letter(letter) for letter in dead_letters.kept(most=MOST)],
        "parked": [_parked(*row) for row in heads.parked(MOST)],
    }


def retry_letter(letter_id: int) -> tuple[bool, str]:
    """Look at a dead letter again; return whether it is settled, and what to say."""
    letters = dead_letters.kept([letter_id])
    if not letters:
        return True, _("This dead letter is gone already.")
    (outcome,) = Retrier(now_us).retry(letters)
    words = {"place": outcome.letter.place, "said": _(outcome.said)}
    return outcome.is_settled, _("%(place)s: %(said)s.") % words


def retry_record(uid: UUID) -> tuple[bool, str]:
    """Fold a parked record again, with what was parked with it; return as ``retry_letter``."""
    found = rebuild_all(Selection(uids=[uid], is_parked_only=True)).found
    if uid in found.parked:
        return False, _("The record still cannot be applied; it stays read-only.")
    if uid in found.unparked:
        return True, _("The record has all its events again, and can be changed.")
    return True, _("The record is not parked any more.")


def _letter(letter: Kept) -> dict[str, Any]:
    return {"kept": letter, "source": SOURCES.get(letter.source, letter.source)}


def _parked(uid: UUID, kind: str, reason: str) -> ParkedRow:
    words = REASONS.get(reason) or _("its values do not fit (%(error)s)") % {"error": reason}
    return ParkedRow(uid, words, kind == "customers.entity")
