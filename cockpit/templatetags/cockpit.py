"""Template tags all pages share: the location, its colour, instants, names of members, icons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django import template
from django.conf import settings
from django.http import HttpRequest
from django.template.context import RequestContext
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import Member
from accounts.roles import AGENT, PROVIDER
from cockpit import sync
from customers.conflict_rows import open_count
from customers.labels import HAPPENED, TYPE_LABELS, Text

register = template.Library()

LOCATION_COLOURS = 6
NOTHING = "–"
THEMES = ("auto", "light", "dark")
INBOX = "customers:conflicts"


@dataclass(frozen=True, slots=True)
class Link:
    """A link of the main navigation; ``about`` says in the help what the page is for.

    ``count`` is how much waits there for somebody.
    """

    name: str
    text: str
    icon: str
    about: str
    href: str
    is_here: bool
    count: int = 0


@register.simple_tag
def location_id() -> str:
    """Return the id of this location."""
    return str(settings.LOCATION_ID)


@register.simple_tag
def zone_name() -> str:
    """Return the zone in which pages show instants."""
    return str(settings.DISPLAY_TIME_ZONE)


@register.filter
def location_class(location: str) -> str:
    """Return the CSS class of a location's colour: the same on every page, at every location."""
    if not location:
        return ""
    return f"loc-{sum(location.encode()) % LOCATION_COLOURS}"


@register.filter
def location_name(location: str) -> SafeString:
    """Return a location's name with its coloured dot."""
    return format_html('<span class="loc {}">{}</span>', location_class(location), location)


@register.simple_tag
def icon(name: str) -> SafeString:
    """Return an icon of the sprite; it only decorates, the text beside it says what it is."""
    address = f"{static('cockpit/icons.svg')}#{name}"
    return format_html('<svg class="icon" aria-hidden="true"><use href="{}"/></svg>', address)


@register.filter
def moment(instant: datetime | None) -> SafeString:
    """Return an instant as a <time> to the minute, in the network's zone."""
    return _time(instant, "Y-m-d H:i")


@register.filter
def moment_exact(instant: datetime | None) -> SafeString:
    """Return an instant as a <time> to the second, in the network's zone."""
    return _time(instant, "Y-m-d H:i:s")


@register.filter
def ago(instant: datetime | None) -> SafeString:
    """Return how long ago an instant was; from a month on, its date."""
    if instant is None:
        return mark_safe("")
    passed = timezone.now() - instant
    if passed > timedelta(days=30):
        return _time(instant, "Y-m-d")
    return _stamped(instant, _("just now") if passed < timedelta(minutes=1) else _past(instant))


def _past(instant: datetime) -> str:
    return _("%(time)s ago") % {"time": timesince(instant, depth=1)}


def _time(instant: datetime | None, form: str) -> SafeString:
    if instant is None:
        return mark_safe("")
    local = timezone.localtime(instant, settings.DISPLAY_TIME_ZONE)
    return _stamped(instant, date_format(local, form))


def _stamped(instant: datetime, text: str) -> SafeString:
    """Return a <time> with ``text``; its title is the instant to the second, with its zone."""
    local = timezone.localtime(instant, settings.DISPLAY_TIME_ZONE)
    exact = f"{date_format(local, 'Y-m-d H:i:s')} {local.tzname()}"
    return format_html('<time datetime="{}" title="{}">{}</time>', instant.isoformat(), exact, text)


@register.filter
def local_input(instant: datetime | None) -> str:
    """Return an instant as a date-time field takes it."""
    if instant is None:
        return ""
    return timezone.localtime(instant, settings.DISPLAY_TIME_ZONE).strftime("%Y-%m-%dT%H:%M:%S")


@register.filter
def duration(seconds: float | None) -> str:
    """Return a number of seconds in words a glance can read."""
    if seconds is None:
        return "–"
    if seconds < 1:
        return _("under a second")
    if seconds < 120:
        count = round(seconds)
        return ngettext("%(count)s second", "%(count)s seconds", count) % {"count": count}
    now = timezone.now()
    return timesince(now - timedelta(seconds=seconds), now, depth=1)


@register.simple_tag(takes_context=True)
def member_name(context: RequestContext, uid: UUID | str | None, origin: str = "") -> str:
    """Return the name of a member, asked for once a page; of others where they signed in."""
    if not uid:
        return _("SINS")
    request = context.get("request")
    names: dict[str, str] | None = getattr(request, "member_names", None)
    if names is None:
        names = {str(m.uid): m.get_full_name() for m in Member.objects.all()}
        if request is not None:
            request.member_names = names
    name = names.get(str(uid))
    if name is not None:
        return name
    text = (
        _("a member of %(location)s") % {"location": origin}
        if origin
        else _("a member of another location")
    )
    title = _("Member %(uid)s…") % {"uid": str(uid)[:8]}
    return format_html('<span title="{}">{}</span>', title, text)


@register.simple_tag(takes_context=True)
def recorded(context: RequestContext, code: str, value: Any) -> Text:
    """Return a recorded value in words: a member's name, a type's label, open or closed."""
    value = _plain(value)
    if code == "owner" and value:
        return member_name(context, str(value))
    if code == "deleted":
        return _("closed") if value else _("open")
    return TYPE_LABELS.get(value) or shown(value) if code == "type" else shown(value)


@register.filter
def happened(what: str) -> Text:
    """Return what happened in the words of a record's history."""
    return HAPPENED.get(what, what)


@register.filter
def tail(uid: UUID) -> str:
    """Return the end of a uid: its random part, by which an eye tells two apart."""
    return str(uid)[-8:]


@register.simple_tag(takes_context=True)
def theme_name(context: RequestContext) -> str:
    """Return the chosen appearance: auto, light or dark."""
    request = context.get("request")
    chosen = request.COOKIES.get("theme", "auto") if request is not None else "auto"
    return chosen if chosen in THEMES else "auto"


@register.simple_tag(takes_context=True)
def page_theme(context: RequestContext) -> SafeString:
    """Return the attribute that fixes light or dark; none while the device decides."""
    chosen = theme_name(context)
    return mark_safe("") if chosen == "auto" else format_html(' data-theme="{}"', chosen)


@register.simple_tag(takes_context=True)
def header_links(context: RequestContext) -> list[Link]:
    """Return the pages this member may open."""
    request = context.get("request")
    user = getattr(request, "user", None)
    if request is None or not isinstance(user, Member) or not user.has_role(AGENT, PROVIDER):
        return []
    pages = [
        ("customers:list", _("Customers"), "person", _("Find, enter and change customers")),
        (INBOX, _("Conflicts"), "fork", _("Decide what was changed at two places at once")),
    ]
    if user.has_role(PROVIDER):
        pages += [
            ("cockpit:audit", _("Audit"), "book", _("Who changed which value, line by line")),
            (
                "cockpit:transactions",
                _("Reports"),
                "chart",
                _("What happened in a period, counted"),
            ),
            ("cockpit:sync", _("Sync"), "links", _("How the locations stand to each other")),
        ]
    counts = {INBOX: _open_conflicts(request)}
    return [
        Link(
            name,
            text,
            icon,
            about,
            href := reverse(name),
            request.path.startswith(href),
            counts.get(name, 0),
        )
        for name, text, icon, about in pages
    ]


def _open_conflicts(request: HttpRequest) -> int:
    """Return how many conflicts wait for somebody, asked for once a page."""
    count: int | None = getattr(request, "open_conflicts", None)
    if count is None:
        count = open_count()
        request.open_conflicts = count  # type: ignore[attr-defined]
    return count


@register.inclusion_tag("cockpit/_sync_state.html", takes_context=True)
def sync_state(context: RequestContext) -> Mapping[str, Any]:
    """Show a dot and a word for how this location stands to its peers."""
    user = getattr(context.get("request"), "user", None)
    is_provider = isinstance(user, Member) and user.has_role(PROVIDER)
    state, text = sync.summary()
    return {"dot": f"dot-{state}", "word": text, "is_link": is_provider}


@register.filter
def shown(value: Any) -> Text:
    """Return a recorded value as text; a dash for none."""
    value = _plain(value)
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return str(value)


def _plain(value: Any) -> Any:
    """Return the one value of a group, or all of them in a row."""
    if not isinstance(value, Mapping):
        return value
    return value.get("value") if set(value) == {"value"} else ", ".join(map(str, value.values()))
