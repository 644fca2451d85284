"""The sign-in form."""

from __future__ import annotations

from typing import Any

from allauth.account.forms import LoginForm
from django.utils.translation import gettext_lazy as _


class SignInForm(LoginForm):  # type: ignore[misc]
    """allauth's form, labelled and styled as the rest of the pages."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        username, password = self.fields["login"], self.fields["password"]
        username.label, password.label = _("Username"), _("Password")
        # allauth would link to a password reset, which there is not.
        password.help_text = ""
        for field in (username, password):
            field.widget.attrs.pop("placeholder", None)
            field.widget.attrs["class"] = "input w-full"
        username.widget.attrs |= {"autocapitalize": "none", "spellcheck": "false"}
        if not self.is_bound:  # After a mistake the error summary takes the focus.
            username.widget.attrs["autofocus"] = True
