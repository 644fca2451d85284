"""The real nginx with the real configuration, for tests: only its places are the test's own."""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from ops.docker import certificates
from ops.ports import free_port
from ops.tests.compose import CHECKOUT
from ops.unprivileged import UNPRIVILEGED_USER, give_away

SOURCE: Final = CHECKOUT / "ops" / "nginx"
HOSTS: Final = ("nginx", "localhost", "127.0.0.1", "crm.example.org")
START_SECONDS: Final = 10


def nginx() -> str:
    """Return the program; without it the test is skipped, and fails in CI."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("There is no nginx here; on Debian: apt-get install nginx-light")
    return program


class Upstream(ThreadingHTTPServer):
    """An application that answers with what it was told, and remembers it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Echo)
        self.seen: list[dict[str, Any]] = []
        self.bodies: list[bytes] = []
        self.headers: dict[str, str] = {}
        self.status = 200
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """End it."""
        self.shutdown()
        self.server_close()


class _Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Upstream

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.bodies.append(body)
        told = {
            "method": self.command,
            "path": self.path,
            "headers": [[name.lower(), value] for name, value in self.headers.items()],
            "length": len(body),
        }
        self.server.seen.append(told)
        answer = json.dumps(told).encode()
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 - its framework's names

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


class Door:
    """A running nginx; ``port`` tells where it listens for what is at 8001 in production."""

    def __init__(self, home: Path, ports: Mapping[int, int]) -> None:
        self._home, self._ports = home, ports

    def port(self, number: int = 8001) -> int:
        """Return the port that stands for one of the real ones."""
        return self._ports[number]

    @property
    def written(self) -> str:
        """What it has logged."""
        return (self._home / "log").read_text(encoding="utf-8")

    @property
    def bundle(self) -> Path:
        """What containers have at /etc/ssl/certs/ca-certificates.crt."""
        return self._home / "trust" / "ca-certificates.crt"

    def trust(self) -> ssl.SSLContext:
        """Return what trusts the installation's authority and nobody else."""
        return ssl.create_default_context(cafile=str(self._home / "trust" / "sins-ca.pem"))

    def client(self, number: int = 8001, **options: Any) -> httpx.Client:
        """Return a client of one of its ports."""
        return httpx.Client(
            base_url=f"https://localhost:{self.port(number)}",
            verify=self.trust(),
            trust_env=False,
            **options,
        )


@contextmanager
def running(upstreams: Mapping[str, int]) -> Iterator[Door]:
    """Start nginx before upstreams at ports of this machine, as a user who may do nothing."""
    program = nginx()
    with tempfile.TemporaryDirectory(prefix="sins-nginx-") as folder:
        home = Path(folder)
        ports = {number: free_port() for number in (8001, 8002, 8003, 5601, 8080)}
        prepare(home, ports, upstreams)
        with (home / "log").open("ab") as log:
            process = subprocess.Popen(
                command(program, home),
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd="/",
                **_somebody(),
            )  # fmt: skip
        try:
            _wait(ports[8080], process, home / "log")
            yield Door(home, ports)
        finally:
            process.terminate()
            process.wait(10)


def command(program: str, home: Path) -> list[str]:
    """Return the command line that the container has, for this place."""
    return [program, "-e", "stderr", "-c", str(home / "nginx.conf"), "-g", "daemon off;"]


def prepare(home: Path, ports: Mapping[int, int], upstreams: Mapping[str, int]) -> None:
    """Write the configuration and certificates; nothing but places differs from the real one."""
    certificates.main([str(home), f"nginx={','.join(HOSTS)}"])
    for path in SOURCE.glob("*.conf"):
        text = path.read_text(encoding="utf-8")
        for old, new in _places(home, ports, upstreams).items():
            text = re.sub(old, new, text)
        (home / path.name).write_text(text, encoding="utf-8")
    (home / "tmp").mkdir()
    (home / "log").touch()
    for path in [home, *home.rglob("*")]:
        give_away(path)


def _places(
    home: Path, ports: Mapping[int, int], upstreams: Mapping[str, int]
) -> Mapping[str, str]:
    listen = {
        rf"listen (127\.0\.0\.1:)?{number}\b": f"listen 127.0.0.1:{port}"
        for number, port in ports.items()
    }
    reached = {
        rf"http://{re.escape(name)};": f"http://127.0.0.1:{port};"
        for name, port in upstreams.items()
    }
    # Scratch first: the test's own place may be below it.
    return {r"/tmp/": f"{home}/tmp/", r"/run/tls/": f"{home}/nginx/", **listen, **reached}


def _somebody() -> dict[str, Any]:
    """Return as whom it runs: the container's user is not root either."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam(UNPRIVILEGED_USER)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": ()}


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).text == "ok\n":
                return
        except httpx.TransportError:
            time.sleep(0.02)
    raise AssertionError(f"nginx does not start: {log.read_text(encoding='utf-8')}")
