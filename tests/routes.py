"""Every address this location serves, with what stands for its parts."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from django.urls import URLPattern, URLResolver, get_resolver


def routes(entity_uid: UUID, item_id: str = "0" * 64) -> dict[str, str]:
    """Return ``{name: path}`` of all routes, with a record or a conflict where they take one."""
    found = {}
    for name, route in _patterns(get_resolver().url_patterns, "", ""):
        path = route
        for part in ("<uuid:entity_uid>", "<str:entity_uid>"):
            path = path.replace(part, str(entity_uid))
        path = path.replace("<str:item_id>", item_id)
        assert "<" not in path, f"{name}: what stands for the parts of {path}?"
        found[name] = f"/{path}"
    return found


def _patterns(
    patterns: list[URLPattern | URLResolver], prefix: str, space: str
) -> Iterator[tuple[str, str]]:
    for each in patterns:
        route = prefix + str(each.pattern)
        if isinstance(each, URLResolver):
            inner = f"{each.namespace}:" if each.namespace else ""
            yield from _patterns(each.url_patterns, route, space + inner)
        else:
            yield f"{space}{each.name}", route
