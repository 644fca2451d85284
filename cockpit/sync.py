"""How this location stands to its peers, in the words the pages use."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

# The dot of a state: its colour and its form.
GOOD, BUSY, BAD, LOCAL = "good", "busy", "bad", "local"


def summary() -> tuple[str, str]:
    """Return the footer's dot and word."""
    if not settings.PEERS or find_spec("events.status") is None:
        return LOCAL, _("local only")
    return in_words(import_module("events.status").summary())


def status() -> Mapping[str, Any]:
    """Return what the sync page shows; an empty mapping where there is nothing to tell yet."""
    if find_spec("events.status") is None:
        return {}
    found: Mapping[str, Any] = import_module("events.status").sync_status()
    return found


def in_words(found: Mapping[str, Any]) -> tuple[str, str]:
    """Return dot and word for ``{"state", "lag_events", "unreplicated"}``."""
    state = found.get("state")
    lag = int(found.get("lag_events") or 0)
    waiting = int(found.get("unreplicated") or 0)
    if state == "local":
        return LOCAL, _("local only")
    if state == "unequal":
        return BAD, _("unequal")
    if state == "unreachable":
        if not waiting:
            return BAD, _("cut off")
        text = ngettext(
            "cut off, %(count)s write only here", "cut off, %(count)s writes only here", waiting
        )
        return BAD, text % {"count": waiting}
    if lag:
        text = ngettext("catching up, %(count)s event", "catching up, %(count)s events", lag)
        return BUSY, text % {"count": lag}
    if waiting:
        text = ngettext("sending %(count)s write", "sending %(count)s writes", waiting)
        return BUSY, text % {"count": waiting}
    return GOOD, _("in sync")
