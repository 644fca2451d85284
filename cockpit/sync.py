"""How this location stands to its peers, in the words the pages use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from customers.labels import Text
from events import status

# The dot of a state: its colour and its form.
GOOD, BUSY, BAD, LOCAL = "good", "busy", "bad", "local"
# The states in which nothing is counted.
PLAIN: Final[Mapping[str, tuple[str, Text]]] = {
    status.LOCAL_ONLY: (LOCAL, gettext_lazy("local only")),
    status.RECOVERING: (BUSY, gettext_lazy("restored, read-only until its writes are back")),
    status.UNEQUAL: (BAD, gettext_lazy("not equal")),
    status.STUCK: (BAD, gettext_lazy("a stream does not arrive")),
}


def summary() -> tuple[str, str]:
    """Return the footer's dot and word."""
    return in_words(status.summary())


def in_words(found: Mapping[str, Any]) -> tuple[str, str]:
    """Return dot and word for ``{"state", "lag_events", "unreplicated"}``."""
    state = found["state"]
    lag, waiting = int(found["lag_events"]), int(found["unreplicated"])
    if state in PLAIN:
        dot, words = PLAIN[state]
        return dot, str(words)
    if state == status.UNREACHABLE:
        if not waiting:
            return BAD, _("a location is out of reach")
        text = ngettext(
            "out of reach, %(count)s write only here",
            "out of reach, %(count)s writes only here",
            waiting,
        )
        return BAD, text % {"count": waiting}
    if lag:
        text = ngettext("catching up, %(count)s event", "catching up, %(count)s events", lag)
        return BUSY, text % {"count": lag}
    if waiting:
        text = ngettext("sending %(count)s write", "sending %(count)s writes", waiting)
        return BUSY, text % {"count": waiting}
    return (GOOD, _("in sync")) if state == status.EQUAL else (BUSY, _("comparing"))
