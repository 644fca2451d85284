"""What stands between a shipper and a real Elasticsearch, and lets bulk requests go wrong."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

Pair = tuple[dict[str, Any], dict[str, Any]]  # action, document
Answer = tuple[int, Any]
Forward = Callable[[Sequence[Pair]], Answer]
Trouble = Callable[[Sequence[Pair], Forward], Answer]

HEADERS = ("Content-Type", "Accept")


class Dropped(Exception):
    """The connection ends without an answer."""


def none(pairs: Sequence[Pair], forward: Forward) -> Answer:
    """Let everything through."""
    return forward(pairs)


@dataclass
class Overload:
    """Refuses every third request, and of the others each document with a chance of one in ten."""

    dice: random.Random
    requests: int = 0
    refused_requests: int = 0
    refused_documents: int = 0

    def __call__(self, pairs: Sequence[Pair], forward: Forward) -> Answer:
        self.requests += 1
        if self.requests % 3 == 0:
            self.refused_requests += 1
            return 429, {"error": {"type": "es_rejected_execution_exception"}, "status": 429}
        taken = [self.dice.random() >= 0.1 for _ in pairs]
        self.refused_documents += taken.count(False)
        let_in = [pair for pair, is_taken in zip(pairs, taken, strict=True) if is_taken]
        status, said = forward(let_in) if let_in else (200, {"items": []})
        items = iter(said["items"])
        refused = {"create": {"status": 429, "error": {"type": "es_rejected_execution_exception"}}}
        return status, {"items": [next(items) if is_taken else refused for is_taken in taken]}


class BulkProxy:
    """Passes on what it is asked; bulk requests as ``trouble`` has it."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.trouble: Trouble = none
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}
        )
        self._http = httpx.Client(trust_env=False, timeout=60)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._http.close()

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        def forward(pairs: Sequence[Pair]) -> Answer:
            lines = [json.dumps(part) for pair in pairs for part in pair]
            return self._ask(method, path, headers, "\n".join([*lines, ""]).encode())

        if "/_bulk" not in path:
            return self._ask(method, path, headers, body)
        parts = [json.loads(line) for line in body.splitlines()]
        return self.trouble(list(zip(parts[::2], parts[1::2], strict=True)), forward)

    def _ask(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        try:
            said = self._http.request(method, f"{self.target}{path}", headers=headers, content=body)
        except httpx.HTTPError as exc:
            raise Dropped from exc
        return said.status_code, said.json()


def _handler(proxy: BulkProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name: self.headers[name] for name in HEADERS if name in self.headers}
            try:
                status, document = proxy.answer(self.command, self.path, headers, body)
            except Dropped:
                self.close_connection = True
                return
            text = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("X-Elastic-Product", "Elasticsearch")
            self.send_header("Content-Type", headers["Accept"])
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_PUT = do_POST  # noqa: N815 - the server's name for it

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    return Handler


@contextmanager
def running_proxy(target: str) -> Iterator[BulkProxy]:
    """Yield a proxy in front of ``target``."""
    proxy = BulkProxy(target)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()
