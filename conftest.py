"""Fixtures all tests share: their databases, and what a skip means."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Iterator
from unittest import mock

import hypothesis
import pytest
from django.test import TransactionTestCase
from playwright.sync_api import Browser, sync_playwright
from pytest_django import DjangoDbBlocker

from ops.databases import DatabaseUrls
from ops.elasticsearch_server import ElasticsearchError, ElasticsearchServer
from ops.kafka_server import KafkaError, KafkaServer
from ops.ports import free_port
from tests.databases import TestDatabases, running_databases

IS_CI = os.environ.get("CI", "").lower() in {"1", "true"}

CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# The machine is shared: an example may take its time. In CI a failure comes again.
hypothesis.settings.register_profile("sins", deadline=None, derandomize=IS_CI)
hypothesis.settings.load_profile("sins")


@pytest.fixture(scope="session")
def databases(
    tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker
) -> Iterator[TestDatabases]:
    """Copies of one migrated database, on a server that lives as long as the session."""
    with django_db_blocker.unblock():
        directory = tmp_path_factory.mktemp("sins") / "postgres"
        with running_databases(directory) as databases:
            yield databases


@pytest.fixture(scope="session")
def django_db_setup(databases: TestDatabases, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Let ``db`` roll back on a copy of the template; a new one after ``transactional_db``."""

    def renew(_: TransactionTestCase) -> None:
        databases.renew()

    with django_db_blocker.unblock():
        databases.renew()
    # Django would flush: that takes TRUNCATE, which the application's role may not.
    with mock.patch.object(TransactionTestCase, "_fixture_teardown", renew):
        yield


@pytest.fixture
def fresh_database(databases: TestDatabases) -> Iterator[DatabaseUrls]:
    """A database of the test's own, for processes it starts."""
    urls = databases.copy()
    yield urls
    databases.drop(urls)


@pytest.fixture(scope="session")
def real_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """A Kafka broker for tests marked ``kafka``; what is missing for it is named in the skip."""
    server = KafkaServer(tmp_path_factory.mktemp("kafka"), free_port(), free_port())
    try:
        server.start()
    except KafkaError as error:
        pytest.skip(str(error))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def real_elasticsearch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ElasticsearchServer]:
    """A node for tests marked ``elasticsearch``; what is missing for it is named in the skip."""
    server = ElasticsearchServer(tmp_path_factory.mktemp("node") / "elasticsearch", free_port())
    try:
        server.start()
    except ElasticsearchError as error:
        pytest.skip(str(error))
    yield server
    server.destroy()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, without a window, for tests marked ``browser``."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("There is no Chromium here; on Debian: apt-get install chromium")
    # Playwright runs an event loop in this thread, where Django would then refuse the database.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=CHROMIUM_ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where all tools have to be there, a test that was skipped did not pass."""
    report = yield
    if IS_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} was skipped: {report.longrepr}"
    return report
