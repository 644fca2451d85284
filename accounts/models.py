"""Members of a location, their API tokens, and the log of what makes no event."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from typing import Any, ClassVar
from uuid import uuid4

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.utils.translation import gettext_lazy as _


class Role(models.TextChoices):
    """What a member may do; the values are the network's, the labels the reader's."""

    CUSTOMER = "customer", _("Customer")
    AGENT = "agent", _("Agent")
    PROVIDER = "provider", _("Provider")
    ADMIN = "admin", _("Administrator")


def normalize_username(username: str) -> str:
    """Return the one stored form of a username: NFKC, lower case, no outer blanks."""
    return unicodedata.normalize("NFKC", username).strip().lower()


class Members(BaseUserManager["Member"]):
    """Makes and finds members, by usernames in any case."""

    def create_user(self, username: str, password: str | None = None, **fields: Any) -> Member:
        """Create a member; without a password they cannot sign in. ``ValueError`` if unnamed."""
        name = normalize_username(username)
        if not name:
            raise ValueError("a member needs a username")
        member = self.model(username=name, **fields)
        member.set_password(password)
        member.save(using=self._db)
        return member

    def create_superuser(self, username: str, password: str | None = None, **fields: Any) -> Member:
        """Create a member with the role admin who also passes where roles are not asked."""
        fields |= {"is_staff": True, "is_superuser": True}
        roles = {*fields.pop("roles", ()), Role.ADMIN.value}
        return self.create_user(username, password, roles=sorted(roles), **fields)

    def get_by_natural_key(self, username: str | None) -> Member:
        """Return the member of this username, in any case; ``Member.DoesNotExist`` if none."""
        return self.get(username=normalize_username(username or ""))


class Member(AbstractBaseUser):
    """Someone who signs in at this location.

    ``uid`` names them in events and at every location; ``id`` never leaves this database.
    Roles take the place of Django's groups and permissions: one way to allow something.
    """

    uid = models.UUIDField(unique=True, default=uuid4, editable=False)
    username = models.CharField(
        _("username"), max_length=150, unique=True, validators=[UnicodeUsernameValidator()]
    )
    name = models.CharField(_("name"), max_length=200, blank=True)
    roles: ArrayField[Any, Any] = ArrayField(
        models.CharField(max_length=16, choices=Role.choices), default=list, blank=True
    )
    is_active = models.BooleanField(_("active"), default=True)
    is_staff = models.BooleanField(default=False)
    is_superuser = models.BooleanField(default=False)

    objects: ClassVar[Members] = Members()

    USERNAME_FIELD = "username"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        verbose_name = _("member")
        verbose_name_plural = _("members")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            # A role nobody knows would grant nothing, silently.
            models.CheckConstraint(
                name="accounts_member_known_roles",
                condition=models.Q(roles__contained_by=Role.values),
            )
        ]

    def has_role(self, *roles: str) -> bool:
        """Return whether an active member holds one of ``roles``; an admin holds them all."""
        if not self.is_active:
            return False
        return (
            self.is_superuser or Role.ADMIN in self.roles or not set(roles).isdisjoint(self.roles)
        )

    def get_full_name(self) -> str:
        """Return the name to show: the username where no name is recorded."""
        return self.name or self.username

    get_short_name = get_full_name


class ApiToken(models.Model):
    """A named token of a member; only the SHA-256 of it is kept."""

    member = models.ForeignKey(Member, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=100)
    token_hash = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        """Return the name its owner gave it."""
        return self.name

    def is_usable(self, at: datetime) -> bool:
        """Return whether the token opens anything at the instant ``at``."""
        if self.revoked_at is not None or not self.member.is_active:
            return False
        return self.expires_at is None or at < self.expires_at


class Access(models.Model):
    """One line of the access log: what happened without making an event.

    Holds no personal values: members by uid, routes by pattern, addresses as a keyed hash.
    Rows are only ever inserted; a trigger refuses the rest, whoever is connected. ``uid`` names a
    line beyond this database, where ``id`` means nothing.
    """

    uid = models.UUIDField(db_default=RandomUUID(), editable=False)
    at = models.DateTimeField()
    kind = models.CharField(max_length=40)
    actor = models.UUIDField(null=True)
    location = models.CharField(max_length=64)
    route = models.CharField(max_length=200)
    outcome = models.CharField(max_length=40)
    request_id = models.CharField(max_length=200)
    address_hmac = models.CharField(max_length=64, blank=True)

    class Meta:
        indexes = [models.Index(fields=["at", "id"])]  # the report of a period, newest first

    def __str__(self) -> str:
        """Return kind and outcome, as a log reader scans them."""
        return f"{self.kind} {self.outcome}"
