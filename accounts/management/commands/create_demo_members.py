"""``create_demo_members``: the members agent, provider, customer and admin of a demo."""

from __future__ import annotations

import json
import os
import re
import secrets
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from accounts.authors import now_us
from accounts.models import ApiToken, Member, Role
from accounts.tokens import keep, new_token, token_hash

USERNAMES = (Role.AGENT, Role.PROVIDER, Role.CUSTOMER, Role.ADMIN)
ENVIRONMENT = "DEMO_MEMBERS"
TOKEN_NAME = "demo"
TOKEN_FORM = re.compile(r"sins_[A-Za-z0-9_-]{43}")

Credentials = dict[str, str | None]


class Command(BaseCommand):
    """Makes what is missing of the demo's members and leaves what is there."""

    help = (
        "Make the members agent, provider, customer and admin, each with a password and a token, "
        "and print them as JSON. What is not given is generated the first time; later it cannot "
        "be read again and is printed as null. The JSON printed can be given back."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take passwords and tokens in the form in which they are printed."""
        parser.add_argument(
            "--members",
            default=_given(),
            metavar="JSON",
            help=f'{{"agent": {{"password": …, "token": …}}, …}}; default: ${ENVIRONMENT}, '
            f"or what stands in ${ENVIRONMENT}_FILE",
        )

    @transaction.atomic
    def handle(self, *args: Any, members: str, **options: Any) -> None:
        """Print ``{username: {"password", "token"}}``."""
        given = _parsed(members)
        made = {name.value: _ensure(name.value, given.get(name.value, {})) for name in USERNAMES}
        self.stdout.write(json.dumps(made, indent=2))


def _given() -> str:
    file = os.environ.get(f"{ENVIRONMENT}_FILE")
    return Path(file).read_text(encoding="utf-8") if file else os.environ.get(ENVIRONMENT, "{}")


def _parsed(members: str) -> dict[str, Credentials]:
    try:
        given = json.loads(members)
    except ValueError as exc:
        raise CommandError("--members is not JSON.") from exc
    if not isinstance(given, dict) or not all(isinstance(entry, dict) for entry in given.values()):
        raise CommandError("--members is not an object of objects.")
    unknown = {name for name in given if name not in set(USERNAMES)} | {
        key for entry in given.values() for key in entry if key not in {"password", "token"}
    }
    if unknown:
        raise CommandError(f"--members has unknown keys: {', '.join(sorted(unknown))}.")
    return given


def _ensure(username: str, given: Credentials) -> Credentials:
    uid = uuid5(UUID(str(settings.NETWORK_ID)), f"member:{settings.LOCATION_ID}:{username}")
    member = Member.objects.filter(username=username).first()
    is_new = member is None
    if member is None:
        member = Member.objects.create_user(
            username, uid=uid, name=username.capitalize(), roles=[username]
        )
    password = given.get("password") or (secrets.token_urlsafe(12) if is_new else None)
    if password and not member.check_password(password):
        member.set_password(password)
        member.save(update_fields=["password"])
    return {"password": password, "token": _ensure_token(member, given.get("token"))}


def _ensure_token(member: Member, given: str | None) -> str | None:
    if given is None and member.tokens.filter(name=TOKEN_NAME, revoked_at=None).exists():
        return None
    token = given or new_token()
    if not TOKEN_FORM.fullmatch(token):
        raise CommandError(f"The token of {member.username} is not sins_ and 43 characters.")
    known = ApiToken.objects.filter(token_hash=token_hash(token)).first()
    if known is None:
        keep(member, TOKEN_NAME, token, now_us())
    elif known.member_id != member.pk or known.revoked_at is not None:
        raise CommandError(f"The token of {member.username} is revoked or someone else's.")
    return token
