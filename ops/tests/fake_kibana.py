"""A Kibana that takes saved objects, and answers otherwise when it is told to."""

from __future__ import annotations

import base64
import email
import email.policy
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USER = "Basic " + base64.b64encode(b"elastic:right").decode()
HTML = "<!doctype html><title>Sign in</title>"

Answer = tuple[int, Any]


def refusing(*errors: dict[str, Any]) -> Answer:
    """Return what Kibana says when it has not taken everything: 200, and the reasons."""
    return 200, {"success": False, "successCount": 0, "warnings": [], "errors": list(errors)}


@dataclass
class FakeKibana:
    """What it holds and was asked; ``moods`` are its next answers, before it takes anything."""

    url: str = ""
    accepts: str = USER
    moods: list[Answer] = field(default_factory=list)
    objects: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def answer(self, request: str, headers: dict[str, str], body: bytes) -> Answer:
        self.asked.append((request, headers))
        if self.moods:
            return self.moods.pop(0)
        if headers.get("authorization") != self.accepts:
            return 401, {"statusCode": 401, "error": "Unauthorized", "message": "[security] no"}
        if request != "POST /api/saved_objects/_import?overwrite=true":
            return 404, {"statusCode": 404, "error": "Not Found", "message": "Not Found"}
        if "kbn-xsrf" not in headers:
            return 400, {"statusCode": 400, "message": "Request must contain a kbn-xsrf header."}
        lines = _file(headers["content-type"], body).splitlines()
        found = {(each["type"], each["id"]): each for each in map(json.loads, lines)}
        if len(found) != len(lines):
            return 400, {"statusCode": 400, "message": "Non-unique import objects detected"}
        self.objects |= found
        return 200, {"success": True, "successCount": len(found), "warnings": []}


def _file(content_type: str, body: bytes) -> bytes:
    """Return the one file of a multipart body."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = email.message_from_bytes(head + body, policy=email.policy.HTTP)
    [part] = message.iter_parts()
    assert part.get_param("name", header="content-disposition") == "file"
    assert str(part.get_filename()).endswith(".ndjson")
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload


def _handler(fake: FakeKibana) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, said = fake.answer(f"{self.command} {self.path}", headers, body)
            text = said if isinstance(said, str) else json.dumps(said)
            self.send_response(status)
            if status in {301, 302}:
                self.send_header("Location", "/login?next=%2F")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    return Handler


@contextmanager
def running_kibana(tls: ssl.SSLContext | None = None) -> Iterator[FakeKibana]:
    """Yield one that listens on this machine, with a certificate if it is given one."""
    fake = FakeKibana()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(fake))
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # who distrusts it hangs up
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    fake.url = f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
