"""Fixtures all tests share: their databases, and what a skip means."""

from __future__ import annotations

import os
from collections.abc import Iterator
from unittest import mock

import hypothesis
import pytest
from django.test import TransactionTestCase
from pytest_django import DjangoDbBlocker

from ops.databases import DatabaseUrls
from tests.databases import TestDatabases, running_databases

IS_CI = os.environ.get("CI", "").lower() in {"1", "true"}

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
    """Let ``db`` roll back on a copy of the template, and ``transactional_db`` leave a fresh one."""

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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Iterator[None]:
    """Where all tools have to be there, a test that was skipped did not pass."""
    report = yield
    if IS_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped: {report.longrepr}"
    return report
