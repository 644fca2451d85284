from __future__ import annotations

import pytest

from consumers.apply import Applier
from consumers.tests.origins import NOW, PEERS


@pytest.fixture(autouse=True)
def peers(settings):
    """This is loc1; loc2 and loc3 are registered."""
    settings.PEERS = PEERS
    return PEERS


@pytest.fixture
def applier() -> Applier:
    return Applier(clock=lambda: NOW + 10**12)
