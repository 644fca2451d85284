"""A database of the benchmark's own, on a server that waits for the disk like a real one."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ops.databases import DatabaseUrls
from ops.ports import free_port
from ops.postgres import Cluster
from tests.environment import ENVIRONMENT

OWNER, APPLICATION = ("bench_owner", "bench-owner-only-here"), ("bench", "bench-only-here")
# The location whose events are applied: the benchmark signs in its place.
ORIGIN, ORIGIN_SEED = "loc2", b"only for the benchmark".ljust(32, b".")


@contextmanager
def bench_database(directory: Path) -> Iterator[DatabaseUrls]:
    """Start PostgreSQL in ``directory``, set the environment, stop it at the end."""
    with bench_cluster(directory) as (_, urls):
        yield urls


@contextmanager
def bench_cluster(directory: Path) -> Iterator[tuple[Cluster, DatabaseUrls]]:
    """Do the same, and yield the server, too, for who makes more databases on it."""
    os.environ.update(ENVIRONMENT)
    public_key = Ed25519PrivateKey.from_private_bytes(ORIGIN_SEED).public_key()
    key = base64.b64encode(public_key.public_bytes_raw()).decode()
    peer = {"url": "http://127.0.0.1:1", "public_key": key}
    os.environ["PEERS"] = json.dumps({ORIGIN: peer})
    os.environ["DJANGO_SETTINGS_MODULE"] = "ops.bench.settings"
    cluster = Cluster(directory / "postgres", free_port())
    cluster.create()
    cluster.start()
    try:
        yield (
            cluster,
            cluster.create_role_and_database("bench", owner=OWNER, application=APPLICATION),
        )
    finally:
        cluster.destroy()
