"""A search that finds nothing proves something only if it would have found it."""

from __future__ import annotations

import base64
import gzip
import json
import random
import zlib
from collections.abc import Callable

import pytest

from tests.readings import found

WORDS = ["zwitscher", "19371123"]
SAID = b"Frau zwitscherVogel, 19371123"
NOISE = random.Random(7).randbytes(400)  # ciphertext looks like this

HIDDEN: dict[str, Callable[[bytes], bytes]] = {
    "as it is": bytes,
    "upper case": bytes.upper,
    "base64": base64.b64encode,
    "base64 for addresses": base64.urlsafe_b64encode,
    "base64 in lines": base64.encodebytes,
    "base64 in lines in JSON": lambda said: json.dumps(base64.encodebytes(said).decode()).encode(),
    "hex": lambda said: said.hex().encode(),
    "hex in upper case": lambda said: said.hex().upper().encode(),
    "hex with spaces": lambda said: said.hex(" ").encode(),
    "JSON": lambda said: b"".join(b"\\u%04x" % byte for byte in said),
    "JSON in JSON": lambda said: b"".join(b"\\\\u%04X" % byte for byte in said),
    "repr": lambda said: b"".join(b"\\x%02x" % byte for byte in said),
    "percent": lambda said: b"".join(b"%%%02X" % byte for byte in said),
    "UTF-16, little end first": lambda said: said.decode().encode("utf-16-le"),
    "UTF-16, big end first": lambda said: said.decode().encode("utf-16-be"),
    "zlib": zlib.compress,
    "gzip": lambda said: gzip.compress(said, mtime=0),
    "base64 in hex": lambda said: base64.b64encode(said).hex().encode(),
    "zlib in base64": lambda said: base64.b64encode(zlib.compress(said)),
    "UTF-16 in hex": lambda said: said.decode().encode("utf-16-be").hex().encode(),
    "JSON in percent": lambda said: b"".join(b"%%5Cu%04x" % byte for byte in said),
}


@pytest.mark.parametrize("before", [b"", b"a", b"ab", b"abc"], ids=len)
@pytest.mark.parametrize("how", HIDDEN)
def test_words_are_found_however_they_are_written(how: str, before: bytes) -> None:
    """At every offset within the encoding, and right behind letters that could belong to it."""
    for hidden in (HIDDEN[how](before + SAID), before + HIDDEN[how](SAID)):
        assert how in {"as it is", "upper case"} or WORDS[0].encode() not in hidden.lower()
        assert found(WORDS, NOISE, hidden, NOISE).keys() == set(WORDS)


def test_base64_without_its_end_is_found() -> None:
    for length in range(len(SAID), len(SAID) + 3):
        hidden = base64.b64encode(SAID.rjust(length)).rstrip(b"=")
        assert found(WORDS, hidden).keys() == set(WORDS)


def test_what_is_found_is_shown() -> None:
    (around,) = found(["zwitscher"], b"x" * 100 + SAID.hex().encode()).values()
    assert b"Frau zwitscherVogel" in around


def test_chance_spells_no_word() -> None:
    noise = random.Random(11).randbytes(100_000)
    assert found(WORDS, noise, noise.hex().encode(), base64.b64encode(noise)) == {}
