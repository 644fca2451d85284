"""The demo's network: one small relay per direction between two locations, so it can be cut."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

CHUNK: Final = 65_536
END_SECONDS: Final = 2.0  # for connections to end that were aborted


@dataclass(slots=True)
class Link:
    """The way from ``sender`` to ``receiver``: who connects to ``port`` reaches ``target``."""

    sender: str
    receiver: str
    port: int
    target: int
    is_cut: bool = False
    _live: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        """The address at which the sender sees the receiver."""
        return f"http://127.0.0.1:{self.port}"

    def set_cut(self, is_cut: bool) -> None:
        """Cut the link, with the connections that are open, or mend it; in the network's loop."""
        self.is_cut = is_cut
        if is_cut:
            for writer in list(self._live):
                writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Relay one connection until either side ends it, or the link is cut."""
        if self.is_cut:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, far_writer}
        self._live |= pair
        try:
            await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
        finally:
            self._live -= pair
            for end in pair:
                end.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(CHUNK):
            writer.write(chunk)
            await writer.drain()
        writer.write_eof()


class Network:
    """Runs all links in a thread of its own; the port of a cut link stays taken."""

    def __init__(self, links: Iterable[Link]) -> None:
        self.links = list(links)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="links", daemon=True)
        self._servers: list[asyncio.Server] = []
        self._cut: set[str] = set()

    def start(self) -> None:
        """Open all links; ``OSError`` if a port is taken."""
        self._thread.start()
        self.do(self._open())

    def stop(self) -> None:
        """Close all links and end the thread."""
        if not self._thread.is_alive():
            return
        self.do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def set_cut(self, location: str, is_cut: bool) -> None:
        """Cut or mend every link from and to a location; returns when it is so."""
        self.do(self._set_cut(location, is_cut))

    def peers_of(self, location: str) -> dict[str, str]:
        """Return the address of each other location, as ``location`` sees it."""
        return {link.receiver: link.url for link in self.links if link.sender == location}

    def do(self, work: Coroutine[Any, Any, None]) -> None:
        """Have something done in the network's loop; returns when it is."""
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _open(self) -> None:
        for link in self.links:
            self._servers.append(await asyncio.start_server(link.serve, "127.0.0.1", link.port))

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        for link in self.links:
            link.set_cut(True)
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        left = (await asyncio.wait(tasks, timeout=END_SECONDS))[1] if tasks else set()
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _set_cut(self, location: str, is_cut: bool) -> None:
        (self._cut.add if is_cut else self._cut.discard)(location)
        for link in self.links:
            link.set_cut(not self._cut.isdisjoint((link.sender, link.receiver)))
