"""What several of these tests share: three running locations take a minute to start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from ops.tests.test_demo import Demo
from tests.browsing import Sites


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
