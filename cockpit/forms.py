"""What a provider may ask the audit log, and of the sync page."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from accounts.models import Member
from customers.forms import MomentField
from events import locations
from events.audit import DELETE, INSERT, UPDATE, Place, place_of

_INPUT = {"class": "input", "autocomplete": "off"}
# In the address and in the API they are called INSERT, UPDATE and DELETE.
_OPERATIONS = (
    (INSERT, _("entered or opened again")),
    (UPDATE, _("changed")),
    (DELETE, _("removed or closed")),
)


class AuditForm(forms.Form):
    """The filters of the audit page; all optional."""

    entity = forms.UUIDField(
        required=False, label=_("Record"), widget=forms.TextInput(attrs=_INPUT)
    )
    actor = forms.ChoiceField(
        required=False, label=_("Who"), widget=forms.Select(attrs={"class": "select"})
    )
    location = forms.ChoiceField(
        required=False, label=_("Where"), widget=forms.Select(attrs={"class": "select"})
    )
    start = MomentField(
        is_start=True,
        required=False,
        label=_("From"),
        widget=forms.TextInput(attrs={**_INPUT, "type": "date"}),
    )
    end = MomentField(
        required=False, label=_("To"), widget=forms.TextInput(attrs={**_INPUT, "type": "date"})
    )
    operation = forms.ChoiceField(
        required=False,
        label=_("What"),
        choices=[("", _("Any")), *_OPERATIONS],
        widget=forms.Select(attrs={"class": "select"}),
    )
    after = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        members = Member.objects.order_by("username")
        for name, choices in (
            ("actor", [(str(member.uid), member.get_full_name()) for member in members]),
            ("location", [(location, location) for location in locations.names()]),
        ):
            field = self.fields[name]
            assert isinstance(field, forms.ChoiceField)
            field.choices = [("", _("Any")), *choices]

        for name in self.errors if self.is_bound else ():
            attrs = self.fields[name].widget.attrs if name in self.fields else {}
            attrs.update({"aria-invalid": "true", "aria-describedby": f"wrong-{name}"})

    @property
    def set_count(self) -> int:
        """How many filters are set."""
        return sum(bool(field.value()) for field in self.visible_fields())

    def clean_after(self) -> Place | None:
        """Return where the page before ended."""
        text = self.cleaned_data["after"]
        try:
            return place_of(text) if text else None
        except ValueError as exc:
            raise ValidationError(_("This is no page of the log.")) from exc

    def clean(self) -> dict[str, Any]:
        """Refuse a period that ends before it starts."""
        cleaned = super().clean() or {}
        start, end = cleaned.get("start"), cleaned.get("end")
        if start and end and start > end:
            self.add_error("end", _("The end lies before the start."))
        return cleaned


class RetryForm(forms.Form):
    """What of the sync page's lists is to be tried again: one of the two."""

    letter = forms.IntegerField(required=False, min_value=1, max_value=2**63 - 1)
    record = forms.UUIDField(required=False)

    def clean(self) -> dict[str, Any]:
        """Refuse neither and both."""
        cleaned = super().clean() or {}
        if (cleaned.get("letter") is None) == (cleaned.get("record") is None):
            raise ValidationError(_("Choose one."))
        return cleaned
