"""What a real Elasticsearch holds, and the process that ships to it."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from django.conf import settings
from django.db import connection
from pytest_django import Settings

from consumers.ship import Shipper
from consumers.ship_bulk import Bulk
from consumers.ship_status import streams_behind
from events import chain, streams
from events.loops import Loop
from ops.elasticsearch_server import ElasticsearchServer
from tests.databases import TestDatabases
from tests.environment import ENVIRONMENT, test_key
from tests.locations import wait_until

CHECKOUT = Path(__file__).resolve().parent.parent
PATTERN = "sins-tx-*"
MOST = 60_000  # ids that one question answers; it has to be below 65,536
SECONDS = 120


class Reported:
    """The documents of a node."""

    def __init__(self, server: ElasticsearchServer) -> None:
        self._server = server
        self._http = httpx.Client(base_url=server.url, trust_env=False, timeout=60)

    @property
    def url(self) -> str:
        return self._server.url

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Return the answer, which has to be a good one."""
        answer = self._http.request(method, path, json=body)
        assert answer.is_success, answer.text
        return answer.json()

    def forget(self) -> None:
        """Delete every index."""
        for name in self.ask("GET", f"/{PATTERN}"):
            self.ask("DELETE", f"/{name}")

    def ids(self, **terms: str) -> Counter[str]:
        """Return how many documents there are of each ``event.id``, of those with these terms."""
        self.ask("POST", f"/{PATTERN}/_refresh")
        wanted = [{"term": {name.replace("__", "."): value}} for name, value in terms.items()]
        body = {
            "size": 0,
            "query": {"bool": {"filter": wanted}},
            "aggs": {"ids": {"terms": {"field": "event.id", "size": MOST}}},
        }
        found = self.ask("POST", f"/{PATTERN}/_search", body)["aggregations"]["ids"]
        assert found["sum_other_doc_count"] == 0
        return Counter({bucket["key"]: bucket["doc_count"] for bucket in found["buckets"]})

    def documents(self) -> list[dict[str, Any]]:
        """Return every document, at most 10,000."""
        self.ask("POST", f"/{PATTERN}/_refresh")
        hits = self.ask("POST", f"/{PATTERN}/_search", {"size": 10_000})["hits"]
        assert hits["total"]["value"] == len(hits["hits"])
        return [hit["_source"] | {"_id": hit["_id"]} for hit in hits["hits"]]

    def close(self) -> None:
        self._http.close()


@contextmanager
def shipping(host: str, clock: Any) -> Iterator[None]:
    """Ship in a thread, as the process does, with its back-off."""
    bulk, stop = Bulk(host), threading.Event()
    shipper = Shipper(bulk, clock)
    thread = Loop("ship", shipper.step, shipper.pause, stop, recover=shipper.recover).thread()
    try:
        yield
    finally:
        stop.set()
        thread.join(60)
        bulk.close()


def ship_process(host: str) -> subprocess.Popen[bytes]:
    """Start ``manage.py consume ship`` on this test's database."""
    passed = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.Popen(
        [sys.executable, "manage.py", "consume", "ship"],
        cwd=CHECKOUT,
        env={
            **passed,
            **ENVIRONMENT,
            "DJANGO_SETTINGS_MODULE": "sins.settings",
            "LOCATION_ID": settings.LOCATION_ID,
            "DATABASE_URL": _url(),
            "ELASTICSEARCH_HOST": host,
        },
        stderr=subprocess.DEVNULL,
    )


def become(there: str, here: str, settings: Settings, databases: TestDatabases) -> None:
    """From here on this process is the location ``there``, empty, whose peer was ``here``."""
    key = base64.b64encode(chain.public_key(streams.own_key())).decode()
    settings.PEERS = {here: {"url": "http://127.0.0.1:9", "public_key": key}}
    settings.LOCATION_ID = there
    settings.LOCATION_KEY = test_key(f"location key of {there}")
    databases.renew()


def wait_until_shipped(seconds: float = SECONDS) -> None:
    """Wait until the cursors have all events."""
    wait_until(lambda: not streams_behind(), seconds, lambda: str(streams_behind()))


def _url() -> str:
    values = connection.settings_dict
    login = f"{quote(values['USER'])}:{quote(values['PASSWORD'], safe='')}"
    return f"postgresql://{login}@{values['HOST']}:{values['PORT']}/{values['NAME']}"
