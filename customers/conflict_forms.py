"""What may be asked of the inbox's page, and the field in which another value is entered."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from customers.forms import choice_field, detail_field, owners, with_owner
from customers.labels import DETAIL_LABELS, TYPE_LABELS, label_of
from events.items import OPEN, SETTLED


class InboxForm(forms.Form):
    """The inbox's controls; all optional, all in the address."""

    STATES = ((OPEN, _("Open")), (SETTLED, _("Settled")))

    state = forms.ChoiceField(required=False, choices=STATES)
    entity = forms.UUIDField(required=False)
    page = forms.IntegerField(required=False, min_value=1, max_value=1_000_000)


class EnterForm(forms.Form):
    """Another value for a field in conflict; the command says what it may be."""

    def __init__(self, field: forms.Field, item_id: str, value: Any, *, is_wrong: bool) -> None:
        """Make the form, with ``value`` to begin with."""
        name = item_id[:16]
        super().__init__(initial={"value": value}, auto_id=f"enter-{name}-%s")
        if is_wrong:
            attrs = {"aria-invalid": "true", "aria-describedby": f"wrong-{name}"}
            field.widget.attrs.update(attrs)
        self.fields["value"] = field


class ValueFields:
    """Makes the fields of a page; who may own a customer is asked once."""

    def of(self, group: str, current: Any) -> forms.Field | None:
        """Return the field in which a group's value is entered; None where there is no other."""
        if group == "owner":
            return choice_field(DETAIL_LABELS[group], with_owner(self._owners, current))
        if group == "type":
            return choice_field(label_of(group), list(TYPE_LABELS.items()))
        if group in DETAIL_LABELS or group == "display_name":
            return detail_field(group, label_of(group))
        return None

    @cached_property
    def _owners(self) -> list[tuple[str, Any]]:
        return owners()
