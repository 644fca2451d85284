"""Makes a location's database: its two roles, its extensions, who may connect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, LiteralString
from urllib.parse import quote

import psycopg
from psycopg import sql

EXTENSIONS: Final = ("btree_gist", "pg_trgm")


@dataclass(frozen=True, slots=True)
class DatabaseUrls:
    """How to reach one database: as the application and as its owner."""

    application: str
    owner: str


def database_url(user: str, password: str, port: int, database: str) -> str:
    """Return the address of a database on this machine."""
    return f"postgresql://{quote(user)}:{quote(password, safe='')}@127.0.0.1:{port}/{database}"


def create_role_and_database(
    superuser_url: Callable[[str], str],
    database: str,
    *,
    owner: tuple[str, str],
    application: tuple[str, str],
) -> DatabaseUrls:
    """Make both roles ``(name, password)`` and the database; what is there stays.

    ``superuser_url`` gives the superuser's address of a database. Neither role is a superuser;
    the application's owns nothing and may only connect.
    """
    with psycopg.connect(superuser_url("postgres"), autocommit=True) as connection:
        for name, password in (owner, application):
            _ensure_role(connection, name, password)
        # The owner may end the application's connections, to drop a test's database.
        connection.execute(_sql("GRANT {} TO {}", application[0], owner[0]))
        found = connection.execute(
            "SELECT 1 FROM pg_database WHERE datname = %s", [database]
        ).fetchone()
        if found is None:
            connection.execute(_sql("CREATE DATABASE {} OWNER {}", database, owner[0]))
        connection.execute(_sql("REVOKE ALL ON DATABASE {} FROM PUBLIC", database))
        connection.execute(_sql("GRANT CONNECT ON DATABASE {} TO {}", database, application[0]))
        port = connection.info.port
    with psycopg.connect(superuser_url(database), autocommit=True) as connection:
        for extension in EXTENSIONS:
            connection.execute(_sql("CREATE EXTENSION IF NOT EXISTS {}", extension))
    return DatabaseUrls(
        database_url(*application, port, database), database_url(*owner, port, database)
    )


def _ensure_role(connection: psycopg.Connection, name: str, password: str) -> None:
    found = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone()
    verb: LiteralString = "ALTER" if found else "CREATE"
    statement = sql.SQL(verb + " ROLE {} LOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB PASSWORD {}")
    connection.execute(statement.format(sql.Identifier(name), sql.Literal(password)))


def _sql(template: LiteralString, *names: str) -> sql.Composed:
    return sql.SQL(template).format(*(sql.Identifier(name) for name in names))
