"""What the tests of the pages do again and again."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING
from uuid import UUID

from django.test import Client
from django.urls import reverse

from accounts.authors import now_us
from accounts.models import Member
from customers import commands
from customers.commands import NOW, When
from events.drafting import Author

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Answer

HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}


def sign_in(client: Client, role: str) -> Member:
    """Sign in a new member of ``role``."""
    member = Member.objects.create_user(role, "not-used", roles=[role], name=f"Ann {role}")
    client.force_login(member)
    return member


def enter(origin: str = "loc1", when: When = NOW, **values: str) -> UUID:
    """Enter a customer as another location did, by nobody in particular."""
    uid, _ = commands.create_customer(values, Author(None, origin, now_us()), when=when)
    return uid


def change(uid: UUID, origin: str = "loc1", **values: str | None) -> None:
    """Change a customer behind the back of who has a form open."""
    commands.change_customer(uid, values, Author(None, origin, now_us()))


def close(uid: UUID) -> None:
    """Close a customer."""
    commands.delete_customer(uid, Author(None, "loc2", now_us()))


def page_text(response: Answer) -> str:
    """Return the page as text."""
    return response.content.decode()


def hidden(response: Answer, name: str) -> str:
    """Return the value of a hidden field."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page_text(response))
    assert found, f"no hidden field {name}"
    return html.unescape(found[1])


def address(name: str, uid: UUID) -> str:
    """Return the address of a customer's page."""
    return reverse(f"customers:{name}", args=[uid])
