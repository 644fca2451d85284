"""Who uses the pages in these tests."""

from __future__ import annotations

import pytest
from django.test import Client

from accounts.models import Member
from customers.tests.browsing import sign_in


@pytest.fixture
def agent(client: Client) -> Member:
    """An agent who is signed in with ``client``."""
    return sign_in(client, "agent")


@pytest.fixture
def provider(client: Client) -> Member:
    """A provider who is signed in with ``client``."""
    return sign_in(client, "provider")
