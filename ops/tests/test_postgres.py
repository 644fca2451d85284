"""The embedded PostgreSQL, as the demo and the tests use it."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from ops import postgres
from ops.ports import free_port
from ops.postgres import Cluster, PostgresError

ROLES = {"owner": ("an_owner", "o'w n"), "application": ("an_app", "a/p@p")}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path / "with blank" / "postgres", free_port())
    cluster.create()
    yield cluster
    cluster.destroy()


@pytest.mark.feature("R07")
def test_what_was_committed_survives_a_kill(cluster: Cluster) -> None:
    pid = cluster.start()
    urls = cluster.create_role_and_database("sins", **ROLES)
    with psycopg.connect(urls.owner) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
    os.kill(pid, signal.SIGKILL)
    while cluster.running_pid() is not None:
        time.sleep(0.01)
    assert cluster.start() != pid
    with psycopg.connect(urls.owner) as connection:
        assert connection.execute("SELECT one FROM kept").fetchall() == [(1,)]


def test_everything_may_be_done_twice(cluster: Cluster) -> None:
    cluster.create()
    assert cluster.start() == cluster.start() == cluster.running_pid()
    assert cluster.create_role_and_database("sins", **ROLES) == cluster.create_role_and_database(
        "sins", **ROLES
    )
    cluster.stop()
    cluster.stop()
    assert cluster.running_pid() is None


def test_application_owns_nothing_and_others_do_not_enter(cluster: Cluster) -> None:
    cluster.start()
    urls = cluster.create_role_and_database("sins", **ROLES)
    with psycopg.connect(urls.application) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE TABLE mine ()")
        connection.rollback()
        extensions = connection.execute("SELECT extname FROM pg_extension").fetchall()
        assert {("btree_gist",), ("pg_trgm",)} <= set(extensions)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(urls.application.replace("a%2Fp%40p", "wrong"))


def test_failing_statement_is_not_in_the_log(cluster: Cluster) -> None:
    cluster.start()
    with psycopg.connect(cluster.superuser_url()) as connection:
        connection.execute("CREATE TEMP TABLE t (name text UNIQUE)")
        connection.execute("INSERT INTO t VALUES ('Canary')")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO t VALUES ('Canary')")
    assert "Canary" not in cluster.log_path.read_text(encoding="utf-8")


def test_taken_port_is_one_sentence(cluster: Cluster) -> None:
    refused = pytest.raises(PostgresError, match=rf"^Port {cluster.port} is taken")
    with socket.create_server(("127.0.0.1", cluster.port)), refused:
        cluster.start()


def test_stale_lock_of_a_number_that_belongs_to_another_is_ignored(cluster: Cluster) -> None:
    lock = cluster.home / "data" / "postmaster.pid"
    lock.write_text(f"{os.getpid()}\n", encoding="ascii")
    assert cluster.running_pid() is None
    assert cluster.start()


def test_missing_programs_are_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(postgres, "reachable_package", lambda name, probe: None)
    cluster = Cluster(tmp_path / "postgres", free_port())
    with pytest.raises(PostgresError, match="is not installed"):
        cluster.create()
    assert not cluster.home.exists()


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("could not write: No space left on device", "initdb failed: the disk is full."),
        ("x\ninitdb: error: it is cold\ny", "initdb failed: initdb: error: it is cold"),
    ],
)
def test_reasons_become_sentences(output: str, sentence: str) -> None:
    assert postgres._sentence("initdb failed", output) == sentence
