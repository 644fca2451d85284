"""``drf_create_token USER``: make a named API token and print it, once."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.authors import now_us
from accounts.models import Member
from accounts.tokens import issue


class Command(BaseCommand):
    """Makes a token for a member."""

    help = "Make a named API token for a member and print it; it cannot be read again."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the username and a name to know the token by."""
        parser.add_argument("username")
        parser.add_argument("--name", default="command line", help="what the token is for")

    def handle(self, *args: Any, username: str, name: str, **options: Any) -> None:
        """Print the token alone, so that a script can capture it."""
        try:
            member = Member.objects.get_by_natural_key(username)
        except Member.DoesNotExist as exc:
            raise CommandError(f"There is no member {username}.") from exc
        if not member.is_active:
            raise CommandError(f"The member {username} is disabled: a token would open nothing.")
        self.stdout.write(issue(member, name[:100], now_us()))
