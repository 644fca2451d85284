"""Checking what someone says of a customer, field by field, before it becomes an event."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any
from uuid import UUID

from customers.kinds import DETAIL_TYPES, ENTITY_TYPES
from events.envelope import Fields, normal
from events.errors import InvalidValue

MAX_LENGTH = {"notes": 10_000}
DEFAULT_MAX_LENGTH = 300
EMAIL = r"[^@\s]+@[^@\s]+\.[^@\s]+"
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|[\ud800-\udfff]")


def groups_of(values: Mapping[str, Any]) -> dict[str, Fields]:
    """Return the groups that flat ``values`` set; empty text removes a value.

    ``InvalidValue`` names the first field that is unknown or not of its form.
    """
    return {code.lower(): {"value": checked(code.lower(), value)} for code, value in values.items()}


def checked(code: str, value: Any) -> str | None:
    """Return the canonical value of one detail, or None if it is to be empty."""
    if code not in DETAIL_TYPES:
        raise InvalidValue(code, f"unknown field; known are {', '.join(DETAIL_TYPES)}")
    if value is None:
        return None
    text = checked_text(code, value, MAX_LENGTH.get(code, DEFAULT_MAX_LENGTH))
    if not text:
        return None
    return _CHECKS.get(DETAIL_TYPES[code][1], _any_text)(code, text)


def checked_text(name: str, value: Any, max_length: int) -> str:
    """Return stripped NFC text; ``InvalidValue`` if it is none, too long or holds a NUL."""
    if not isinstance(value, str):
        raise InvalidValue(name, "expected text")
    if _CONTROL.search(value):
        raise InvalidValue(name, "control characters are not allowed")
    text = str(normal(value)).strip()
    if len(text) > max_length:
        raise InvalidValue(name, f"at most {max_length} characters")
    return text


def checked_type(entity_type: Any) -> str:
    """Return the entity type; ``InvalidValue`` if there is none of that code."""
    if not isinstance(entity_type, str) or entity_type.upper() not in ENTITY_TYPES:
        raise InvalidValue("entity_type", f"expected one of {', '.join(ENTITY_TYPES)}")
    return entity_type.upper()


def _any_text(code: str, text: str) -> str:
    return text


def _date(code: str, text: str) -> str:
    try:
        day = date.fromisoformat(text).isoformat()
    except ValueError:
        day = ""
    if day != text:  # Python also reads 19840317 and weeks
        raise InvalidValue(code, "expected a date as YYYY-MM-DD")
    return day


def _email(code: str, text: str) -> str:
    if not re.fullmatch(EMAIL, text):
        raise InvalidValue(code, "expected an e-mail address")
    return text


def _member(code: str, text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError as exc:
        raise InvalidValue(code, "expected the uid of a member") from exc


_CHECKS = {"date": _date, "email": _email, "member": _member}
