"""The test session's PostgreSQL: one migrated template, and fresh copies of it.

Tests connect as the application's role, so what the application may not do fails here too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import LiteralString
from urllib.parse import unquote, urlsplit, urlunsplit

import psycopg
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from psycopg import sql

from ops.databases import EXTENSIONS, DatabaseUrls
from ops.ports import free_port
from ops.postgres import Cluster


class TestDatabases:
    """Makes databases that are copies of one template; ``admin`` may create and drop them."""

    __test__ = False

    def __init__(self, admin: str, template: DatabaseUrls) -> None:
        self._admin = admin
        self._template = template
        self._numbers = count(1)
        self._in_use: DatabaseUrls | None = None

    def migrate_template(self) -> None:
        """Bring the template to the present models, as the owner."""
        self.connect_django(self._template)
        call_command("migrate", verbosity=0, interactive=False)
        connections.close_all()

    def copy(self) -> DatabaseUrls:
        """Return a fresh database, equal to the template."""
        name = f"{name_of(self._template.owner)}_{os.getpid()}_{next(self._numbers)}"
        with psycopg.connect(self._admin, autocommit=True) as connection:
            statement = "CREATE DATABASE {} TEMPLATE {} OWNER {} STRATEGY FILE_COPY"
            owner = unquote(urlsplit(self._template.owner).username or "")
            connection.execute(_sql(statement, name, name_of(self._template.owner), owner))
        return DatabaseUrls(
            renamed(self._template.application, name), renamed(self._template.owner, name)
        )

    def drop(self, urls: DatabaseUrls) -> None:
        """Remove a copy, ending whoever is still connected to it."""
        with psycopg.connect(self._admin, autocommit=True) as connection:
            statement = "DROP DATABASE IF EXISTS {} WITH (FORCE)"
            connection.execute(_sql(statement, name_of(urls.owner)))

    def empty(self, urls: DatabaseUrls) -> None:
        """Replace a copy by a database with no tables, as after a loss."""
        self.drop(urls)
        with psycopg.connect(self._admin, autocommit=True) as connection:
            owner = unquote(urlsplit(urls.owner).username or "")
            statement = "CREATE DATABASE {} OWNER {}"
            connection.execute(_sql(statement, name_of(urls.owner), owner))
        with psycopg.connect(renamed(self._admin, name_of(urls.owner)), autocommit=True) as opened:
            for extension in EXTENSIONS:
                opened.execute(_sql("CREATE EXTENSION IF NOT EXISTS {}", extension))

    def renew(self) -> None:
        """Point Django at a fresh copy; the one it had is removed."""
        connections.close_all()
        if self._in_use is not None:
            self.drop(self._in_use)
        self._in_use = self.copy()
        self.connect_django(self._in_use)

    def remove_all(self) -> None:
        """Remove what this session made on a server that stays."""
        connections.close_all()
        if self._in_use is not None:
            self.drop(self._in_use)
        self.drop(self._template)

    def connect_django(self, urls: DatabaseUrls) -> None:
        """Point Django at a database."""
        connections.close_all()
        for alias, url in (("default", urls.application), ("owner", urls.owner)):
            parts = urlsplit(url)
            settings.DATABASES[alias].update(
                NAME=name_of(url),
                USER=unquote(parts.username or ""),
                PASSWORD=unquote(parts.password or ""),
                HOST=parts.hostname,
                PORT=parts.port or 5432,
            )


@contextmanager
def running_databases(directory: Path) -> Iterator[TestDatabases]:
    """Yield databases on the server the environment names, else on an embedded one."""
    name = f"sins_test_{os.getpid()}"
    if settings.IS_DATABASE_GIVEN:
        yield from _given(name)
        return
    cluster = Cluster(directory, free_port(), is_durable=False)
    cluster.create()
    try:
        cluster.start()
        template = cluster.create_role_and_database(
            name, owner=("sins_owner", "owner"), application=("sins_app", "application")
        )
        databases = TestDatabases(cluster.superuser_url(), template)
        databases.migrate_template()
        yield databases
        connections.close_all()
    finally:
        cluster.destroy()


def _given(name: str) -> Iterator[TestDatabases]:
    owner, application = os.environ["DATABASE_OWNER_URL"], os.environ["DATABASE_URL"]
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute(_sql("CREATE DATABASE {}", name))
    template = DatabaseUrls(renamed(application, name), renamed(owner, name))
    with psycopg.connect(template.owner, autocommit=True) as connection:
        for extension in EXTENSIONS:
            connection.execute(_sql("CREATE EXTENSION IF NOT EXISTS {}", extension))
    databases = TestDatabases(owner, template)
    try:
        databases.migrate_template()
        yield databases
    finally:
        databases.remove_all()


def renamed(url: str, database: str) -> str:
    """Return ``url`` with another database in it."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


def name_of(url: str) -> str:
    """Return the database's name in ``url``."""
    return unquote(urlsplit(url).path[1:])


def _sql(template: LiteralString, *names: str) -> sql.Composed:
    return sql.SQL(template).format(*(sql.Identifier(name) for name in names))
