"""The accounts app: who may do what at this location."""

from __future__ import annotations

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Members, roles, tokens and the access log of one location."""

    name = "accounts"
    default_auto_field = "django.db.models.BigAutoField"
