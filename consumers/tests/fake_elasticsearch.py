"""An Elasticsearch that knows bulk creation, and answers wrongly when it is told to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# What a bulk request is answered with instead, if anything: a status for all of it, or a status
# for each id.
Mood = Callable[[list[str]], "int | dict[str, int]"]


def content(_: list[str]) -> dict[str, int]:
    """Take everything."""
    return {}


@dataclass
class FakeElasticsearch:
    """What it was sent; ``mood`` may be changed at any time."""

    port: int = 0
    mood: Mood = content
    why: str = "document_parsing_exception"
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    indices: dict[str, str] = field(default_factory=dict)  # by document
    asked: list[str] = field(default_factory=list)
    told: dict[str, Any] = field(default_factory=dict)
    bulks: list[list[str]] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)  # bytes

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, asked: str, body: bytes) -> tuple[int, Any]:
        self.asked.append(asked)
        if "/_bulk" not in asked:
            self.told[asked] = json.loads(body)
            return 200, {"acknowledged": True}
        lines = [json.loads(line) for line in body.splitlines()]
        pairs = list(zip(lines[::2], lines[1::2], strict=True))
        ids = [action["create"]["_id"] for action, _ in pairs]
        self.bulks.append(ids)
        self.sizes.append(len(body))
        said = self.mood(ids)
        if isinstance(said, int):
            return said, {"error": {"type": "told_to", "reason": "all of it"}, "status": said}
        return 200, {"items": [self._item(action["create"], doc, said) for action, doc in pairs]}

    def _item(self, action: Any, document: Any, said: dict[str, int]) -> dict[str, Any]:
        name = action["_id"]
        status = said.get(name, 409 if name in self.documents else 201)
        if status == 201:
            self.documents[name] = document
            self.indices[name] = action["_index"]
            return {"create": {"status": 201}}
        return {"create": {"status": status, "error": {"type": self.why, "reason": "this one"}}}


def _handler(fake: FakeElasticsearch) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, document = fake.answer(f"{self.command} {self.path}", body)
            text = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("X-Elastic-Product", "Elasticsearch")
            self.send_header("Content-Type", "application/vnd.elasticsearch+json;compatible-with=9")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_PUT = do_POST  # noqa: N815 - the server's name for it

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    return Handler


@contextmanager
def running_fake() -> Iterator[FakeElasticsearch]:
    """Yield one that listens on this machine."""
    fake = FakeElasticsearch()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(fake))
    server.daemon_threads = True
    fake.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
