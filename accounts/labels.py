"""What the access log's words are called on pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from django.utils.translation import gettext_lazy as _

from accounts import access

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

Text: TypeAlias = "str | _StrPromise"

KIND_LABELS: dict[str, Text] = {
    access.EXPORT: _("Export"),
    access.REFUSAL: _("Refusal"),
    access.SEARCH: _("Search"),
    access.SIGN_IN: _("Sign-in"),
    access.SIGN_OUT: _("Sign-out"),
    access.TOKEN_ISSUED: _("Token issued"),
}
OUTCOME_LABELS: dict[str, Text] = {
    access.OK: _("Succeeded"),
    access.LACKS_ROLE: _("Role does not allow it"),
    access.UNAUTHENTICATED: _("Not signed in"),
    access.UNUSABLE_TOKEN: _("Token cannot be used"),
    access.WRONG_CREDENTIALS: _("Wrong name or password"),
    access.LOCKED_OUT: _("Too many attempts"),
}
