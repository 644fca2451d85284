"""What a person may type on the customers' pages, and how it is told what is wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import MAXYEAR, MINYEAR, datetime
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from accounts.models import Member
from customers import details, moments
from customers.labels import DETAIL_LABELS, TYPE_LABELS
from events.errors import InvalidValue
from events.stamp import to_micros

# What a browser's date-time field sends: no zone.
_LOCAL = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?", re.ASCII)
_INPUT = {"class": "input", "autocomplete": "off"}


class MomentField(forms.CharField):
    """An instant: exact with its offset, a date-time in the network's zone, or a whole day.

    A day means its end, so that "as it was on the 3rd" holds what was entered on the 3rd;
    with ``is_start`` it means its beginning.
    """

    default_error_messages = {"invalid": _("Enter a date, or a date and time.")}

    def __init__(self, *, is_start: bool = False, **kwargs: Any) -> None:
        """Make the field."""
        self.is_start = is_start
        super().__init__(**kwargs)

    def clean(self, value: Any) -> datetime | None:
        """Return an aware datetime, or None for nothing."""
        text = str(super().clean(value))
        if not text:
            return None
        try:
            instant = _instant(text, self.is_start)
        except (ValueError, OverflowError) as exc:
            raise ValidationError(self.error_messages["invalid"], code="invalid") from exc
        # The first and last years cannot be shown in every zone.
        if not MINYEAR + 1 < instant.year < MAXYEAR:
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        return instant


def _instant(text: str, is_start: bool) -> datetime:
    zone = settings.DISPLAY_TIME_ZONE
    if _LOCAL.fullmatch(text):
        return datetime.fromisoformat(text).replace(tzinfo=zone)
    return moments.before(text, zone) if is_start else moments.end_of(text, zone)


def _as_typed(text: str | None) -> str | None:
    return None if text is None else text.replace("\r\n", "\n")


def sentence(expected: str) -> str:
    """Return what a command said of a value as a sentence in the reader's language."""
    text = gettext(expected)
    return f"{text[:1].upper()}{text[1:]}."


def _moment_input() -> forms.TextInput:
    return forms.TextInput(
        attrs={"type": "datetime-local", "class": "input", "max": "9999-12-31T23:59"}
    )


class SearchForm(forms.Form):
    """The list's controls; all optional, all in the address."""

    MODES = (
        ("exact", pgettext_lazy("search", "Exact")),
        ("fuzzy", pgettext_lazy("search", "Fuzzy")),
    )
    ORDERS = (("newest", _("Newest")), ("name", _("By name")))

    q = forms.CharField(required=False, max_length=200, strip=True)
    mode = forms.ChoiceField(required=False, choices=MODES)
    order = forms.ChoiceField(required=False, choices=ORDERS)
    state = forms.ChoiceField(required=False, choices=(("closed", _("Closed")),))
    page = forms.IntegerField(required=False, min_value=1, max_value=1_000_000)


class MomentsForm(forms.Form):
    """The two clocks of a record page."""

    as_of = MomentField(required=False, label=_("As it was on"), widget=_moment_input())
    known_at = MomentField(required=False, label=_("As known here on"), widget=_moment_input())


class ReasonForm(forms.Form):
    """Why something is done; never compulsory."""

    reason = forms.CharField(
        required=False,
        max_length=500,
        label=_("Reason"),
        widget=forms.TextInput(attrs=_INPUT),
    )


class CustomerForm(ReasonForm):
    """The nine details of a customer, with when the change takes effect and why."""

    entity_type = forms.ChoiceField(
        required=False,
        choices=list(TYPE_LABELS.items()),
        label=_("Type"),
        initial="PERSON",
    )
    effective = MomentField(
        required=False,
        label=_("Takes effect"),
        widget=_moment_input(),
        error_messages={"invalid": _("Enter a date and time, such as 2026-03-31 14:30.")},
    )
    field_order = ("entity_type", *DETAIL_LABELS, "effective", "reason")

    def __init__(
        self, *args: Any, seen: Mapping[str, str | None] | None = None, **kwargs: Any
    ) -> None:
        """Make the form; ``seen`` are the values that stood in it, all empty for a new customer."""
        self.seen = {code: _as_typed(value) for code, value in (seen or {}).items()}
        super().__init__(*args, **kwargs)
        for code, label in DETAIL_LABELS.items():
            self.fields[code] = detail_field(code, label)
        owner = str(
            (self.data.get("owner") if self.is_bound else None) or self.seen.get("owner") or ""
        )
        self.fields["owner"] = choice_field(DETAIL_LABELS["owner"], with_owner(owners(), owner))
        self.order_fields(self.field_order)
        self.initial = {**self.seen, **(self.initial or {})}
        if self.is_bound:
            self._describe_errors()
        elif not self.seen:
            self.fields["surname"].widget.attrs["autofocus"] = True

    def _describe_errors(self) -> None:
        """Tie each message to its field, for who cannot see that they stand together."""
        for name in self.errors:
            if name in self.fields:
                attrs = self.fields[name].widget.attrs
                attrs.update({"aria-invalid": "true", "aria-describedby": f"wrong-{name}"})

    def clean_notes(self) -> str:
        """Return the notes with the line ends they are kept with; browsers send others."""
        return _as_typed(self.cleaned_data["notes"]) or ""

    def clean(self) -> dict[str, Any]:
        """Check what was changed by the rule that commands apply, all fields at once."""
        cleaned = super().clean() or {}
        for code, value in self.changed_values(cleaned).items():
            try:
                details.checked(code, value)
            except InvalidValue as error:
                self.add_error(code, sentence(error.expected))
        if (
            not self.seen
            and not any(cleaned.get(code) for code in DETAIL_LABELS)
            and not self.errors
        ):
            raise ValidationError(gettext("Enter at least one value, such as a surname."))
        return cleaned

    def refuse(self, name: str, message: str) -> None:
        """Add what only the write itself could tell, by its field if the form has it."""
        self.add_error(name if name in self.fields else None, message)
        self._describe_errors()

    def changed_values(self, cleaned: Mapping[str, Any] | None = None) -> dict[str, str | None]:
        """Return what its author changed, and only that: the rest they merely looked at."""
        values = self.cleaned_data if cleaned is None else cleaned
        return {
            code: values[code] or None
            for code in DETAIL_LABELS
            if code in values and (values[code] or None) != (self.seen.get(code) or None)
        }

    @property
    def effective_us(self) -> int | None:
        """When the change takes effect in µs; None for now."""
        instant = self.cleaned_data.get("effective")
        return to_micros(instant) if instant else None


def detail_field(code: str, label: Any) -> forms.CharField:
    """Return the field in which a detail is typed; what may stand in it the command says."""
    length = details.MAX_LENGTH.get(code, details.DEFAULT_MAX_LENGTH)
    field = forms.CharField(required=False, max_length=length, label=label)
    kind = {"dob": "date", "phone": "tel", "email": "email"}.get(code, "text")
    field.widget = (
        forms.Textarea(attrs={"class": "textarea", "rows": 4, "maxlength": length})
        if code == "notes"
        else forms.TextInput(attrs={**_INPUT, "type": kind, "maxlength": length})
    )
    if code == "dob":
        del field.widget.attrs["maxlength"]
    return field


def choice_field(label: Any, choices: Sequence[tuple[str, Any]]) -> forms.ChoiceField:
    """Return a field in which one of a few is chosen."""
    widget = forms.Select(attrs={"class": "select"})
    return forms.ChoiceField(required=False, label=label, choices=choices, widget=widget)


def owners() -> list[tuple[str, Any]]:
    """Return who may own a customer: nobody, or a member of this location."""
    members = Member.objects.filter(is_active=True).order_by("username")
    return [("", _("Nobody")), *((str(member.uid), member.get_full_name()) for member in members)]


def with_owner(choices: Sequence[tuple[str, Any]], current: str | None) -> list[tuple[str, Any]]:
    """Return ``choices`` with the present owner, who may be of another location."""
    if not current or any(uid == current for uid, _name in choices):
        return list(choices)
    return [*choices, (current, _("A member of another location"))]
