"""How allauth signs members in here: by username, closed to the public, every attempt logged."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from accounts import access
from accounts.authors import uid_of
from accounts.models import Member, normalize_username


class ClosedAccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Nobody signs up; sign-ins, failures, lock-outs and sign-outs go to the access log."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Return ``False``: members are made by an administrator."""
        return False

    def is_ajax(self, request: HttpRequest) -> bool:
        """Return ``False``: allauth's JSON answer would send the password typed back."""
        return False

    def add_message(self, *args: Any, **kwargs: Any) -> None:
        """Say nothing: the next page shows who is signed in."""

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Count the attempt; ``ValidationError`` and a line in the log once locked out."""
        try:
            super().pre_authenticate(request, **credentials)
        except ValidationError:
            access.log_request(request, access.SIGN_IN, access.LOCKED_OUT)
            raise

    def authenticate(self, request: HttpRequest, **credentials: Any) -> AbstractBaseUser | None:
        """Return the member; one who is disabled is answered like a wrong password."""
        user: AbstractBaseUser | None = super().authenticate(request, **credentials)
        if user is None or user.is_active:
            return user
        self.authentication_failed(request, **credentials)
        return None

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        """Log that it failed, not for whom: a password typed as the username must not be kept."""
        access.log_request(request, access.SIGN_IN, access.WRONG_CREDENTIALS)

    def login(self, request: HttpRequest, user: AbstractBaseUser) -> None:
        """Start the member's session."""
        super().login(request, user)
        if isinstance(user, Member):
            access.log_request(request, access.SIGN_IN, access.OK, user.uid)

    def logout(self, request: HttpRequest) -> None:
        """End the member's session."""
        actor = uid_of(request)
        super().logout(request)
        access.log_request(request, access.SIGN_OUT, access.OK, actor)

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        # allauth's own key holds the Host header: another port in it would be another five tries.
        return normalize_username(str(credentials.get("username", "")))
