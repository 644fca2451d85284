"""Ways between two programs that can be spoilt in the ways in which real ones are."""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from ops.demo.links import CHUNK, Link, Network

SLOW_SECONDS: Final = (0.05, 0.6)
LOSS: Final = 0.15  # of the chunks of a lossy way, each of which ends its connection
REPLAY_SECONDS: Final = 5.0
MOST_REPLAYED: Final = 1_000_000


class Mode(StrEnum):
    """How a way is; "there" is from who connects, "back" are the answers."""

    CLEAR = "clear"
    REFUSED = "refused"  # connections are reset, new and open ones
    SILENT = "silent"  # nothing arrives, nobody is told; what was sent arrives afterwards
    DEAF = "deaf"  # what is asked arrives, answers only afterwards
    UNHEARD = "unheard"  # what is asked arrives, and the connection ends instead of an answer
    TORN = "torn"  # the connection ends within the answer
    SLOW = "slow"
    LOSSY = "lossy"  # slow now and then, and connections end
    DOUBLED = "doubled"  # what was asked is asked a second time


@dataclass(slots=True)
class SteeredLink(Link):
    """A link in a mode; what is open when that changes goes on in the new one."""

    mode: Mode = Mode.CLEAR
    dice: random.Random = field(default_factory=random.Random)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _replays: set[asyncio.Task[None]] = field(default_factory=set)

    async def steer(self, mode: Mode) -> None:
        """Set the mode; in the network's loop."""
        self.mode = mode
        self._changed.set()
        self._changed = asyncio.Event()
        self.set_cut(mode is Mode.REFUSED)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Relay one connection until either side ends it, or the mode does."""
        ends = {writer}
        self._live.add(writer)
        try:
            if self.is_cut:
                return
            await self._heard(is_answer=False)
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
            ends.add(far_writer)
            self._live.add(far_writer)
            asked = bytearray()
            await asyncio.gather(
                self._carry(reader, far_writer, asked, is_answer=False),
                self._carry(far_reader, writer, asked, is_answer=True),
            )
        except OSError:
            pass  # an end is gone; so is the other, now
        finally:
            self._live -= ends
            for end in ends:
                end.transport.abort()

    async def _carry(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        asked: bytearray,
        *,
        is_answer: bool,
    ) -> None:
        """Pass chunks on one way; ``asked`` are those since the last answer that may be doubled."""
        while chunk := await reader.read(CHUNK):
            await self._heard(is_answer=is_answer)
            if self.mode in {Mode.SLOW, Mode.LOSSY}:
                await self._hold_up()
            if is_answer:
                chunk = self._spoilt(chunk, asked)
            elif self.mode is Mode.DOUBLED and len(asked) < MOST_REPLAYED:
                asked += chunk
            writer.write(chunk)
            await writer.drain()
            if is_answer and self.mode is Mode.TORN:
                raise ConnectionResetError
        writer.write_eof()

    async def _heard(self, *, is_answer: bool) -> None:
        """Wait as long as nothing passes this way."""
        while self.mode is Mode.SILENT or (is_answer and self.mode is Mode.DEAF):
            await self._changed.wait()

    async def _hold_up(self) -> None:
        if self.mode is Mode.LOSSY and self.dice.random() < LOSS:
            raise ConnectionResetError
        if self.mode is Mode.SLOW or self.dice.random() < LOSS:
            await asyncio.sleep(self.dice.uniform(*SLOW_SECONDS))

    def _spoilt(self, chunk: bytes, asked: bytearray) -> bytes:
        """Return what of an answer passes; once it begins, what was asked is whole."""
        if self.mode is Mode.UNHEARD:
            raise ConnectionResetError
        if asked:
            task = asyncio.create_task(self._replay(bytes(asked)))
            self._replays.add(task)
            task.add_done_callback(self._replays.discard)
            asked.clear()
        return chunk[: len(chunk) // 2] if self.mode is Mode.TORN else chunk

    async def _replay(self, asked: bytes) -> None:
        """Ask the same once more, on a connection of its own; nobody hears the answer."""
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(REPLAY_SECONDS):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.target)
                try:
                    writer.write(asked)
                    await reader.read(CHUNK)
                finally:
                    writer.transport.abort()


def steer(network: Network, link: SteeredLink, mode: Mode) -> None:
    """Set the mode of one of a network's links; returns when it is so."""
    network.do(link.steer(mode))
