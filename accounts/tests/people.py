"""What tests of members share."""

from __future__ import annotations

from collections.abc import Callable

from accounts.models import Member

PASSWORD = "correct horse battery"

MakeMember = Callable[..., Member]
