"""What a provider may ask the report of transactions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.access import OK
from accounts.labels import KIND_LABELS, OUTCOME_LABELS
from accounts.models import Member
from accounts.reports import REFUSED
from cockpit.periods import DEFAULT_DAYS, EARLIEST, LATEST, MOST_YEARS
from customers.labels import EVENT_LABELS, Text
from events import locations
from events.reports import NOBODY

_SELECT = {"class": "select"}
_DATE = {"class": "input", "type": "date", "autocomplete": "off"}
SYSTEM = _("SINS, or not signed in")


def _day(label: Text, message: Text) -> forms.DateField:
    return forms.DateField(
        label=label,
        input_formats=["%Y-%m-%d"],
        error_messages={"invalid": message},
        widget=forms.DateInput(attrs=_DATE, format="%Y-%m-%d"),
    )


def _choice(label: Text, message: Text, *choices: Any) -> forms.ChoiceField:
    return forms.ChoiceField(
        required=False,
        label=label,
        choices=[("", _("Any")), *choices],
        error_messages={"invalid_choice": message},
        widget=forms.Select(attrs=_SELECT),
    )


class ReportForm(forms.Form):
    """The filters of the report; without a period it is about the last seven days."""

    start = _day(_("From"), _("“From” is a day, such as 2026-03-31."))
    end = _day(_("To"), _("“To” is a day, such as 2026-03-31."))
    location = _choice(_("Where"), _("“Where” names no location of this network."))
    actor = forms.UUIDField(
        required=False,
        label=_("Who"),
        error_messages={"invalid": _("“Who” names no member.")},
        widget=forms.Select(attrs=_SELECT),
    )
    kind = _choice(
        _("What"),
        _("“What” is none of those in the list."),
        (_("Recorded"), list(EVENT_LABELS.items())),
        (_("Access log"), list(KIND_LABELS.items())),
    )
    outcome = _choice(
        _("Outcome"),
        _("“Outcome” is none of those in the list."),
        (OK, OUTCOME_LABELS[OK]),
        (REFUSED, _("Refused")),
        (_("Refused because"), [each for each in OUTCOME_LABELS.items() if each[0] != OK]),
    )

    def __init__(self, given: Mapping[str, str], today: date) -> None:
        """Make the form of what stands in the address; ``today`` is the network's."""
        self.given = {name: given[name] for name in self.base_fields if given.get(name)}
        last = _parsed(self.given.get("end", "")) or today
        first = max(last - timedelta(days=DEFAULT_DAYS - 1), EARLIEST)
        super().__init__({"start": f"{first}", "end": f"{today}", **self.given})
        where = self.fields["location"]
        assert isinstance(where, forms.ChoiceField)
        where.choices = [("", _("Any")), *((name, name) for name in locations.names())]
        self.names: dict[UUID, str] = {
            member.uid: member.get_full_name() for member in Member.objects.order_by("username")
        }
        self.offer(())
        for name in self.errors:
            self.fields[name].widget.attrs |= {
                "aria-invalid": "true",
                "aria-describedby": f"wrong-{name}",
            }

    @property
    def set_count(self) -> int:
        """How many filters are set."""
        return len(self.given)

    def offer(self, others: Iterable[tuple[str, Text]]) -> None:
        """Let members of this location be chosen, and these others."""
        own = [(str(uid), name) for uid, name in self.names.items()]
        widget = self.fields["actor"].widget
        assert isinstance(widget, forms.Select)
        widget.choices = [("", _("Any")), *own, (str(NOBODY), SYSTEM), *others]

    def clean_start(self) -> date:
        """Refuse a day before all events, or beyond what can be shown in every zone."""
        return self._known("start")

    def clean_end(self) -> date:
        """Refuse the same."""
        return self._known("end")

    def _known(self, name: str) -> date:
        day: date = self.cleaned_data[name]
        if not _is_known(day):
            raise forms.ValidationError(self.fields[name].error_messages["invalid"])
        return day

    def clean(self) -> dict[str, Any]:
        """Refuse a period that ends before it starts, or is longer than a chart can show."""
        cleaned = super().clean() or {}
        start, end = cleaned.get("start"), cleaned.get("end")
        if start and end and start > end:
            self.add_error("end", _("“To” lies before “From”."))
        elif start and end and end.year - start.year >= MOST_YEARS:
            self.add_error("start", _("“From” lies too far before “To”: 60 years at most."))
        return cleaned


def _is_known(day: date) -> bool:
    return EARLIEST <= day <= LATEST


def _parsed(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if _is_known(day) else None
