"""What several of these tests share: three running locations take a minute to start."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from ops.demo.places import LOCATIONS
from ops.tests.test_demo import Demo
from tests.browsing import Sites
from tests.databases import TestDatabases
from tests.locations import Locations, running_broker, running_locations


@pytest.fixture(scope="session")
def sites(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Sites]:
    """Three locations with the demo's people, ended after the last test."""
    demo = Demo(tmp_path_factory.mktemp("browser"))
    try:
        demo.start()
        yield Sites(demo, browser)
    finally:
        if not demo.has_ended:
            demo.stop()
        for cluster in demo.clusters():
            cluster.destroy()


@pytest.fixture(params=["none", "broker"])
def locations(
    databases: TestDatabases, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Locations]:
    """Three locations, without any broker and with one."""
    with contextlib.ExitStack() as stack:
        bootstrap = ""
        if request.param == "broker":
            bootstrap = stack.enter_context(running_broker(tmp_path / "broker"))
        yield stack.enter_context(
            running_locations(databases, LOCATIONS, tmp_path, bootstrap=bootstrap)
        )
