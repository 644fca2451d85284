"""The Django application of the customers."""

from __future__ import annotations

from django.apps import AppConfig


class CustomersConfig(AppConfig):
    """People and institutions, and the codes that describe them."""

    name = "customers"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the kinds: from here on the core knows customers."""
        from customers import kinds

        kinds.register_kinds()
