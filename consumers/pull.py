"""Asking a peer: signed requests, bounded answers. Complete by itself, with or without Kafka."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import httpx
from django.conf import settings

from consumers import heartbeat, wire
from consumers.errors import PeerFailed
from consumers.signing import Call, headers_of
from consumers.verify import Run

# A page is about 1,000 events; one of the longest fields there can be takes 72 kB in base64.
MOST_BYTES = 256 * 1024 * 1024
TIMEOUT = httpx.Timeout(10.0, connect=2.0)


class Peer:
    """Another location, as it answers at ``url``; every way to fail is ``PeerFailed``."""

    def __init__(self, location: str, url: str, clock: Callable[[], int]) -> None:
        self.location, self.url = location, url
        self._clock = clock
        self._http = httpx.Client(
            base_url=url,
            timeout=TIMEOUT,
            follow_redirects=False,
            trust_env=False,  # no proxy of the environment may see these requests
        )

    def positions(self) -> dict[str, Any]:
        """Return the peer's positions and signed head, unchecked JSON."""
        return self._ask("GET", "heads")

    def exchange(self) -> tuple[dict[str, Any], int]:
        """Send a heartbeat; return the peer's and by how many ms its clock is ahead."""
        sent = self._clock()
        answer = self._ask("POST", "heartbeat", body=json.dumps(heartbeat.asking(sent)).encode())
        clock = answer.get("clock")
        if not isinstance(clock, int):
            raise PeerFailed("malformed answer")
        return answer, heartbeat.clock_offset_ms(sent, self._clock(), clock)

    def page(self, origin: str, epoch: int, after: int) -> Run | None:
        """Return the numbers of a stream after ``after``, about 1,000; ``None`` if it has none."""
        answer = self._ask("GET", "events", {"origin": origin, "epoch": epoch, "after": after})
        try:
            return wire.run_from_json(answer, origin, epoch)
        except ValueError as exc:
            raise PeerFailed("malformed answer") from exc

    def buckets(self) -> tuple[dict[str, list[int]], bytes]:
        """Return positions and buckets of the peer's last digest."""
        try:
            return wire.buckets_from_json(self._ask("GET", "digest"))
        except ValueError as exc:
            raise PeerFailed("malformed answer") from exc

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _ask(
        self, method: str, route: str, values: dict[str, Any] | None = None, body: bytes = b""
    ) -> dict[str, Any]:
        query = urlencode(values or {})
        call = Call(settings.LOCATION_ID, self.location, method, route, query, self._clock(), body)
        headers = {**headers_of(call), "Content-Type": "application/json"}
        address = f"/sync/{route}" + (f"?{query}" if query else "")
        try:
            with self._http.stream(method, address, content=body, headers=headers) as answer:
                if answer.status_code != httpx.codes.OK:
                    raise PeerFailed(f"status {answer.status_code}")
                document = json.loads(_limited(answer))
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise PeerFailed(type(exc).__name__) from exc
        except ValueError as exc:
            raise PeerFailed("malformed answer") from exc
        if not isinstance(document, dict):
            raise PeerFailed("malformed answer")
        return document


def _limited(answer: httpx.Response) -> bytes:
    found = bytearray()
    for part in answer.iter_bytes():
        found += part
        if len(found) > MOST_BYTES:
            raise PeerFailed("answer too large")
    return bytes(found)
