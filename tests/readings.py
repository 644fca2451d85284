"""Words in bytes, also where an encoding or two hide them."""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Iterable, Iterator
from urllib.parse import unquote_to_bytes

LAYERS = 2  # one within another, such as base64 in the hexadecimal digits of a dump
AROUND = 40

_BETWEEN = re.compile(rb"\s|\\+[nr]")  # what may break a line of digits
_HEX = re.compile(rb"[0-9a-fA-F]{2,}")
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{4,}")
_ESCAPED = re.compile(rb"\\+(?:u00|x)([0-9a-fA-F]{2})")
_COMPRESSED = re.compile(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08")  # zlib, gzip


def found(words: Iterable[str], *texts: bytes) -> dict[str, bytes]:
    """Return the words, in lower case, that the texts hold in any case, with what is around."""
    hits: dict[str, bytes] = {}
    for reading in readings(b"\0".join(texts)):
        lower = reading.lower()
        for word in words:
            place = lower.find(word.encode())
            if place >= 0:
                around = reading[max(place - AROUND, 0) : place + len(word) + AROUND]
                hits.setdefault(word, around)
    return hits


def readings(data: bytes, layers: int = LAYERS) -> Iterator[bytes]:
    """Yield ``data``, and what is in it for who takes it for encoded."""
    yield data
    if layers:
        for decode in (_narrow, _unescaped, _unquoted, _inflated, _from_hex, _from_base64):
            for decoded in decode(data):
                if decoded != data:
                    yield from readings(decoded, layers - 1)


def _narrow(data: bytes) -> Iterator[bytes]:
    """Take ASCII out of UTF-16 and UTF-32, of either order."""
    yield data.replace(b"\0", b"")


def _unescaped(data: bytes) -> Iterator[bytes]:
    """Take JSON's and Python's escapes, whose backslash may itself be escaped."""
    yield _ESCAPED.sub(lambda match: bytes.fromhex(match[1].decode()), data)


def _unquoted(data: bytes) -> Iterator[bytes]:
    yield unquote_to_bytes(data.replace(b"+", b" "))


def _inflated(data: bytes) -> Iterator[bytes]:
    for match in _COMPRESSED.finditer(data):
        stream = zlib.decompressobj(zlib.MAX_WBITS | 32)
        try:
            yield stream.decompress(data[match.start() :])
        except zlib.error:
            continue  # only looked like it


def _from_hex(data: bytes) -> Iterator[bytes]:
    """Begin at both digits of a byte: others may stand right before."""
    runs = _HEX.findall(_BETWEEN.sub(b"", data))
    for first in range(2):
        cut = (run[first : len(run) - (len(run) - first) % 2] for run in runs)
        yield b"\0".join(bytes.fromhex(run.decode()) for run in cut)


def _from_base64(data: bytes) -> Iterator[bytes]:
    """Begin at each of a group's four digits, in both alphabets."""
    digits = _BETWEEN.sub(b"", data).translate(bytes.maketrans(b"-_", b"+/"))
    runs = _BASE64.findall(digits)
    for first in range(4):
        # A last group of two or three digits stands for one or two bytes.
        cut = (run[first:] for run in runs)
        whole = (run[: len(run) - (len(run) % 4 == 1)] for run in cut)
        yield b"\0".join(base64.b64decode(run + b"=" * (-len(run) % 4)) for run in whole)
