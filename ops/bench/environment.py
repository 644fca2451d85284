"""A database of the benchmark's own, on a server that waits for the disk like a real one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ops.databases import DatabaseUrls
from ops.postgres import Cluster, free_port
from tests.environment import ENVIRONMENT

OWNER, APPLICATION = ("bench_owner", "bench-owner-only-here"), ("bench", "bench-only-here")


@contextmanager
def bench_database(directory: Path) -> Iterator[DatabaseUrls]:
    """Start PostgreSQL in ``directory``, set the environment, stop it at the end."""
    os.environ.update(ENVIRONMENT)
    os.environ["DJANGO_SETTINGS_MODULE"] = "ops.bench.settings"
    cluster = Cluster(directory / "postgres", free_port())
    cluster.create()
    cluster.start()
    try:
        yield cluster.create_role_and_database("bench", owner=OWNER, application=APPLICATION)
    finally:
        cluster.destroy()
