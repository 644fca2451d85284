from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import pytest
from django.db import connection

from consumers.apply import Applier
from consumers.contact import Network
from consumers.deliveries import Deliveries
from consumers.errors import NotVerified
from consumers.tests.origins import NOW, PEERS


@pytest.fixture(autouse=True)
def peers(settings):
    """This is loc1; loc2 and loc3 are registered."""
    settings.PEERS = PEERS
    return PEERS


@pytest.fixture
def applier() -> Applier:
    return Applier(clock=lambda: NOW + 10**12)


@pytest.fixture
def has_kafka() -> list[bool]:
    return []


@pytest.fixture
def network(applier: Applier, has_kafka: list[bool]) -> Iterator[Network]:
    """The other side of the queue: what is delivered is applied at once, in a thread."""
    stop = threading.Event()
    deliveries = Deliveries(stop)

    def apply_all() -> None:
        while not stop.is_set():
            delivery = deliveries.next(0.05)
            if delivery is not None:
                with contextlib.suppress(NotVerified):
                    applier.apply(delivery.run)
                delivery.done.set()
        connection.close()

    thread = threading.Thread(target=apply_all)
    thread.start()
    yield Network(deliveries, applier.hear, lambda: bool(has_kafka), stop)
    stop.set()
    thread.join()
