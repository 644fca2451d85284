"""What a location may be called, where it may answer, and what a key looks like. Pure.

Each function returns the text as it is kept; ``ValueError`` says what it must be like.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

NAME: Final = r"^[a-z][a-z0-9-]{0,31}$"
MOST_URL: Final = 200
BUILT_IN: Final = "genesis"  # the origin of what no location made


def checked_name(text: str) -> str:
    """Return the name of a location."""
    if not is_name(text):
        raise ValueError(
            "must be 1 to 32 small letters, digits and hyphens, begin with a letter,"
            f" and not be {BUILT_IN}"
        )
    return text


def is_name(text: str) -> bool:
    """Whether a location may be called so."""
    return re.fullmatch(NAME, text) is not None and text != BUILT_IN


def checked_url(text: str) -> str:
    """Return the address at which a location answers its peers, without a slash at its end."""
    try:
        parts = urlsplit(text)
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        is_address = False
    if not is_address or len(text) > MOST_URL or not re.fullmatch(r"[!-~]+", text):
        raise ValueError("must start with http:// or https:// and name a host")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("must hold neither a password nor anything behind the path")
    if parts.scheme == "http" and not is_loopback(text):
        raise ValueError("must be https:// unless it is on this machine")
    return text.rstrip("/")


def checked_key(text: str) -> str:
    """Return a key, public or private."""
    try:
        is_key = len(base64.b64decode(text, validate=True)) == 32
    except (binascii.Error, ValueError):
        is_key = False
    if not is_key:
        raise ValueError("must be 32 bytes in base64")
    return text


def is_loopback(url: str) -> bool:
    """Whether an address leads nowhere but to this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
