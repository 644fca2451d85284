"""Reads compose files as ``docker compose`` does: variables, ``extends``, one file over another.

Knows what the two files here use, and refuses what it does not know.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

CHECKOUT: Final = Path(__file__).resolve().parents[2]
BASE: Final = "docker-compose.yml"
OVERLAY: Final = "docker-compose.production.yml"
STACKS: Final = {"development": (BASE,), "production": (BASE, OVERLAY)}
# What an operator says in production; each is asked for by name.
PRODUCTION: Final = {
    "SINS_HOST": "crm.example.org",
    "SINS_SECRETS": "/etc/sins/secrets",
    "SINS_VERSION": "1.2.3",
}
VARIABLE: Final = re.compile(
    r"\$(?:(?P<dollar>\$)|(?P<plain>[A-Za-z_]\w*)|\{(?P<name>[A-Za-z_]\w*)"
    r"(?:(?P<how>:?[-?])(?P<rest>[^}]*))?\}|(?P<bad>))"
)
# Lists that are joined; an entry replaces the one with the same target.
TARGETS: Final[Mapping[str, Callable[[Any], str]]] = {
    "volumes": lambda entry: entry.split(":")[1] if isinstance(entry, str) else entry["target"],
    "secrets": lambda entry: entry if isinstance(entry, str) else entry["target"],
    "networks": str,
    "ports": str,
}
REPLACED: Final = frozenset({"command", "entrypoint", "test"})


class ComposeError(Exception):
    """A file says what compose would refuse."""


def stack(name: str) -> dict[str, Any]:
    """Return ``development`` or ``production``, merged, with nothing set but what must be."""
    return load(STACKS[name], PRODUCTION if name == "production" else {})


def load(files: tuple[str, ...], variables: Mapping[str, str]) -> dict[str, Any]:
    """Return the project that the files make together."""
    project: dict[str, Any] = {}
    for file in files:
        document = _extended(interpolated(parsed(file), variables), variables)
        project = merged(project, document)
    return {key: value for key, value in project.items() if not key.startswith("x-")}


def parsed(file: str) -> dict[str, Any]:
    """Return a file as it stands."""
    document: dict[str, Any] = yaml.safe_load((CHECKOUT / file).read_text(encoding="utf-8"))
    return document


def variables_of(file: str) -> set[str]:
    """Return the names of the variables a file asks for."""
    text = yaml.safe_dump(parsed(file))
    found = (match["name"] or match["plain"] for match in VARIABLE.finditer(text))
    return {name for name in found if name}


def interpolated(value: Any, variables: Mapping[str, str]) -> Any:
    """Return ``value`` with its variables filled in; ``ComposeError`` for one that is missing."""
    if isinstance(value, dict):
        return {key: interpolated(each, variables) for key, each in value.items()}
    if isinstance(value, list):
        return [interpolated(each, variables) for each in value]
    return (
        VARIABLE.sub(lambda found: _filled(found, variables), value) if _is_text(value) else value
    )


def merged(below: Any, above: Any, key: str = "") -> Any:
    """Return ``above`` laid over ``below``."""
    if isinstance(below, dict) and isinstance(above, dict):
        both = {**below, **above}
        for name in below.keys() & above.keys():
            both[name] = merged(below[name], above[name], name)
        return both
    if isinstance(below, list) and isinstance(above, list) and key not in REPLACED:
        if key not in TARGETS:
            raise ComposeError(f"how lists of {key} are joined is not known here")
        target = TARGETS[key]
        return list({target(entry): entry for entry in [*below, *above]}.values())
    return above


def _filled(found: re.Match[str], variables: Mapping[str, str]) -> str:
    if found["dollar"]:
        return "$"
    name, how = found["name"] or found["plain"], found["how"] or ""
    if not name:
        raise ComposeError("a single $")
    value = variables.get(name)
    if value is not None and not (value == "" and how.startswith(":")):
        return value
    if how.endswith("-"):
        return str(found["rest"])
    raise ComposeError(f"{name} is not set")


def _extended(document: dict[str, Any], variables: Mapping[str, str]) -> dict[str, Any]:
    services = document.get("services", {})
    for name, service in services.items():
        if base := service.pop("extends", None):
            other = interpolated(parsed(base["file"]), variables)
            below = copy.deepcopy(other["services"][base["service"]])
            services[name] = merged(below, service)
    return document


def _is_text(value: object) -> bool:
    return isinstance(value, str)
