"""A client of the chaos runs sees what it was told is there and is not."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from ops.chaos.processes.history import LOST, History
from ops.chaos.processes.writing import Client, Records

NOTHING = 0  # the connection ends instead of an answer


class Location(HTTPServer):
    """Takes every write, and answers who reads as it is told to: a status, and another value."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status, self.has_another = 200, False
        self.shown: dict[str, str] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Location

    def do_POST(self) -> None:
        self._answer(201, self._asked())

    def do_PATCH(self) -> None:
        self.server.shown = self._asked()
        self._answer(200, self.server.shown)

    def do_GET(self) -> None:
        if self.server.status == NOTHING:
            return
        shown = dict.fromkeys(self.server.shown, "another")
        self._answer(self.server.status, shown if self.server.has_another else self.server.shown)

    def _asked(self) -> dict[str, str]:
        asked: dict[str, str] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        return asked

    def _answer(self, status: int, document: dict[str, str]) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(document).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def location() -> Iterator[Location]:
    with Location() as location:
        thread = threading.Thread(target=location.serve_forever, args=(0.01,))
        thread.start()
        yield location
        location.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("status", "has_another", "is_lost"),
    [
        (200, False, False),
        (200, True, True),
        (404, False, True),
        (503, False, False),
        (NOTHING, False, False),
    ],
)
def test_who_changes_a_record_reads_it_so_at_once(
    location: Location, tmp_path: Path, status: int, has_another: bool, is_lost: bool
) -> None:
    location.status, location.has_another = status, has_another
    history = History(tmp_path / "history.jsonl")
    client = Client(
        ("loc1", location.url), {"agent": "token"}, history, Records(), random.Random(1)
    )
    uid = client.enter()
    assert uid is not None
    assert client.change_and_look(uid)
    client.close()
    history.close()
    assert [kind for kind, _ in history.failures] == ([LOST] if is_lost else [])
