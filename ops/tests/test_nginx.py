"""HTTPS through the real nginx with the real configuration, before an application of the test's."""

from __future__ import annotations

import json
import re
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from ops.ports import free_port
from ops.tests import compose
from ops.tests.door import SOURCE, Door, Upstream, command, nginx, prepare, running

pytestmark = pytest.mark.feature("R06")

SET_ONCE = ("x-content-type-options", "x-frame-options", "referrer-policy", "x-request-id")
CANARY = "Kanarienvogel"
GOOD_ID = "from-the-browser_1"
MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    upstream = Upstream()
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def _door(upstream: Upstream) -> Iterator[Door]:
    port = upstream.server_address[1]
    # Nobody is at loc3's place.
    reached = {"loc1-web:8000": port, "loc2-web:8000": port, "kibana:5601": port}
    with running({**reached, "loc3-web:8000": free_port()}) as door:
        yield door


@pytest.fixture
def door(_door: Door, upstream: Upstream) -> Door:
    """A running nginx; what reached the application is forgotten."""
    upstream.seen.clear()
    upstream.headers = {}
    return _door


def told(answer: httpx.Response) -> dict[str, list[str]]:
    """Return the headers that the application was told."""
    headers: dict[str, list[str]] = {}
    for name, value in answer.json()["headers"]:
        headers.setdefault(name, []).append(value)
    return headers


def test_configuration_is_one_that_nginx_takes(tmp_path: Path) -> None:
    """As it stands, names of containers and all; only certificates and scratch lie elsewhere."""
    program = nginx()
    prepare(tmp_path, {}, {})
    done = subprocess.run(
        [*command(program, tmp_path)[:-2], "-t"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "emerg" not in done.stderr
    assert "warn" not in done.stderr.replace('"user" directive', "")


def test_it_knows_the_containers_that_compose_starts() -> None:
    text = (SOURCE / "nginx.conf").read_text(encoding="utf-8")
    doors = re.findall(r"listen (\d+) ssl.*?set \$upstream http://([\w-]+):(\d+);", text, re.DOTALL)
    project = compose.stack("development")["services"]
    published = {port.split(":")[1] for port in project["nginx"]["ports"]}
    assert {port for port, _, _ in doors} == published
    for _, name, port in doors:
        assert set(project[name]["networks"]) & set(project["nginx"]["networks"])
        if name != "kibana":
            assert project[name]["environment"]["GUNICORN_CMD_ARGS"] == f"--bind 0.0.0.0:{port}"


@pytest.mark.parametrize("number", [8001, 8002, 5601])
def test_answers_over_https(door: Door, number: int) -> None:
    with door.client(number) as client:
        answer = client.get("/a%20b?c=d")
    assert answer.status_code == 200
    assert answer.json()["path"] == "/a%20b?c=d"  # as it was asked


def test_is_nobody_else(door: Door) -> None:
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"https://localhost:{door.port()}/", trust_env=False)


@pytest.mark.parametrize(
    ("version", "is_spoken"), [("TLSv1_3", True), ("TLSv1_2", True), ("TLSv1_1", False)]
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_speaks_no_old_tls(door: Door, version: str, is_spoken: bool) -> None:
    context = door.trust()
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    context.set_alpn_protocols(["h2", "http/1.1"])
    with socket.create_connection(("127.0.0.1", door.port()), timeout=5) as plain:
        if not is_spoken:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                context.wrap_socket(plain, server_hostname="localhost")
            return
        with context.wrap_socket(plain, server_hostname="localhost") as secure:
            assert secure.selected_alpn_protocol() == "h2"


def test_plain_http_is_led_to_https(door: Door, upstream: Upstream) -> None:
    port = door.port()
    answer = httpx.get(f"http://localhost:{port}/customers?q={CANARY}", trust_env=False)
    assert answer.status_code == 301
    assert answer.headers["location"] == f"https://localhost:{port}/customers?q={CANARY}"
    assert upstream.seen == []


@pytest.mark.parametrize("path", ["/", "/metrics", "/too-large", "/away"])
def test_every_answer_has_the_headers_once(door: Door, upstream: Upstream, path: str) -> None:
    """Whoever made it: the application, which sets them itself, or nginx."""
    upstream.headers = {
        "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
        "Referrer-Policy": "same-origin", "Strict-Transport-Security": "max-age=1",
        "Content-Security-Policy": "default-src 'self'", "X-Request-ID": "an-id-of-its-own",
        "Server": "gunicorn/99.9",
    }  # fmt: skip
    body = b"x" * (MEGABYTE + 1) if path == "/too-large" else b""
    with door.client(8003 if path == "/away" else 8001) as client:
        answer = client.post(path, content=body, headers={"Host": "crm.example.org"})
    expected = {"/": 200, "/metrics": 404, "/too-large": 413, "/away": 502}
    assert answer.status_code == expected[path]
    for name in SET_ONCE:
        assert len(answer.headers.get_list(name)) == 1, name
    assert answer.headers.get_list("strict-transport-security") == [
        "max-age=31536000; includeSubDomains"
    ]
    (policy,) = answer.headers.get_list("content-security-policy")
    assert policy.startswith("default-src 'self'" if path == "/" else "default-src 'none'")
    assert answer.headers.get_list("server") == ["nginx"]
    assert not re.search(r"nginx/|gunicorn|\d\.\d+\.\d", answer.text if path != "/" else "")


def test_this_machines_own_names_are_not_bound_to_https(door: Door) -> None:
    with door.client() as client:
        assert "strict-transport-security" not in client.get("/").headers


def test_request_may_be_so_large_and_no_larger(door: Door, upstream: Upstream) -> None:
    with door.client() as client:
        assert client.post("/", content=b"x" * MEGABYTE).json()["length"] == MEGABYTE
        upstream.seen.clear()
        assert client.post("/", content=b"x" * (MEGABYTE + 1)).status_code == 413
        chunks = (b"x" * 65_536 for _ in range(17))
        assert client.post("/", content=chunks).status_code == 413
        assert client.get("/", headers={"X-Large": "x" * 40_000}).status_code in {400, 431, 494}
    assert upstream.seen == []


@pytest.mark.parametrize(
    "path",
    ["/metrics", "/metrics/", "/metrics?a=b", "/METRICS", "//metrics", "/%6detrics",
     "/a/../metrics", "/metrics/x", "/./metrics"],
)  # fmt: skip
def test_metrics_are_not_reached(door: Door, upstream: Upstream, path: str) -> None:
    assert raw(door, path).startswith("HTTP/1.1 404 ")
    assert upstream.seen == []


def raw(door: Door, path: str) -> str:
    """Ask for a path as it is written; clients would tidy it up."""
    with (
        socket.create_connection(("127.0.0.1", door.port()), timeout=5) as plain,
        door.trust().wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        asked = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        secure.sendall(asked.encode())
        return b"".join(iter(lambda: secure.recv(65_536), b"")).decode()


def test_nobody_pretends_to_be_another(door: Door) -> None:
    lies = {
        "X-Forwarded-For": "203.0.113.9, 198.51.100.7",
        "X-Real-IP": "203.0.113.9",
        "Forwarded": "for=203.0.113.9;proto=http",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Host": "evil.example.org",
        "X-Forwarded-Port": "1",
        "X_Forwarded_For": "203.0.113.9",
        "Proxy": "http://evil.example.org",
    }
    with door.client() as client:
        headers = told(client.get("/", headers=lies))
    assert headers["x-forwarded-for"] == ["127.0.0.1"]
    assert headers["x-forwarded-proto"] == ["https"]
    assert headers["host"] == [f"localhost:{door.port()}"]
    assert not set(headers) & {
        "x-real-ip", "forwarded", "x-forwarded-host", "x-forwarded-port", "x_forwarded_for",
        "proxy",
    }  # fmt: skip
    assert "203.0.113.9" not in str(headers)


def test_request_id_passes_and_a_bad_one_is_replaced(door: Door) -> None:
    with door.client() as client:
        answer = client.get("/", headers={"X-Request-ID": GOOD_ID})
        assert told(answer)["x-request-id"] == [GOOD_ID] == [answer.headers["x-request-id"]]
        for given in ("short", "x" * 65, "with blanks in it", f"{GOOD_ID}\u00e4"):
            answer = client.get("/", headers=[(b"X-Request-ID", given.encode())])
            (passed,) = told(answer)["x-request-id"]
            assert re.fullmatch(r"[0-9a-f]{32}", passed)
            assert answer.headers["x-request-id"] == passed
        trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        answer = client.get("/", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
        assert told(answer)["x-request-id"] == [trace], "the caller's trace goes on"
        refused = client.get("/metrics", headers={"X-Request-ID": GOOD_ID})
        assert refused.headers["x-request-id"] == GOOD_ID


def test_log_has_a_line_per_request_and_no_person(door: Door) -> None:
    with door.client(timeout=5) as client, door.client(8003, timeout=5) as away:
        client.get(f"/{CANARY}?q={CANARY}", headers={"User-Agent": CANARY, "X-Request-ID": GOOD_ID})
        client.post(f"/{CANARY}", content=b"x" * (MEGABYTE + 1))
        client.request(CANARY.upper(), "/")
        away.get(f"/?q={CANARY}")
        raw(door, f"/{CANARY}")
    httpx.get(f"http://localhost:{door.port()}/?q={CANARY}", trust_env=False)
    written = door.written
    assert CANARY.lower() not in written.lower()
    assert "127.0.0.1" not in written
    lines = [json.loads(line) for line in written.splitlines()]
    ours = [line for line in lines if line["http.request.id"] == GOOD_ID]
    assert ours[-1]["http.request.method"] == "GET"
    assert ours[-1]["http.response.status_code"] == 200
    assert "502" in {line["sins.upstream_status"] for line in lines}


def test_dead_application_is_said_at_once(door: Door) -> None:
    with door.client(8003, timeout=5) as client:
        answer = client.get("/")
    assert answer.status_code == 502
    assert answer.elapsed.total_seconds() < 3


def test_write_is_sent_once(door: Door, upstream: Upstream) -> None:
    with door.client() as client:
        client.post("/", content=b"x")
    assert [seen["method"] for seen in upstream.seen] == ["POST"]


def test_trace_is_refused(door: Door, upstream: Upstream) -> None:
    with door.client() as client:
        assert client.request("TRACE", "/").status_code == 405
    assert upstream.seen == []
