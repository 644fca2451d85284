"""The compose files are ones that compose takes, and everything they name is there."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ops.docker.secrets import ADDRESSES, make
from ops.kibana.importer import Login
from ops.postgres import CONFIGURATION
from ops.tests import compose
from ops.tests.compose import BASE, CHECKOUT, OVERLAY, PRODUCTION, ComposeError
from sins.environment import Environment, values_from_files

pytestmark = pytest.mark.feature("R06")

every_stack = pytest.mark.parametrize("name", compose.STACKS)
BESIDE_SETTINGS = {
    "GUNICORN_CMD_ARGS", "METRICS_ADDRESS", "DEMO_MEMBERS_FILE", "PROMETHEUS_MULTIPROC_DIR",
}  # fmt: skip
EXAMPLE = (CHECKOUT / ".env.example").read_text(encoding="utf-8")


def documented() -> set[str]:
    """Return the variables that .env.example tells of, set or not."""
    return set(re.findall(r"^#? ?([A-Z][A-Z0-9_]+)=", EXAMPLE, re.MULTILINE))


def test_files_are_of_the_compose_specification() -> None:
    checker = Path(sys.executable).with_name("check-jsonschema")
    done = subprocess.run(
        [checker, "--builtin-schema", "vendor.compose-spec", BASE, OVERLAY],
        cwd=CHECKOUT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@every_stack
def test_all_that_is_named_is_there(name: str) -> None:
    project = compose.stack(name)
    dangling = list(_dangling(project))
    assert dangling == []
    for kind in ("networks", "volumes", "secrets"):
        unused = set(project[kind]) - {used for one, _, used in _named(project) if one == kind}
        assert unused == set(), kind


def _dangling(project: dict[str, Any]) -> Iterator[str]:
    for kind, service, used in _named(project):
        if used not in project[kind]:
            yield f"{service}: {kind} {used}"
    for service, said in project["services"].items():
        for needed, how in said.get("depends_on", {}).items():
            other = project["services"][needed]
            is_once = other["restart"] == "no"
            if (how["condition"] == "service_completed_successfully") is not is_once:
                yield f"{service} waits for {needed}: {how['condition']}"


def _named(project: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    for service, said in project["services"].items():
        yield from (("networks", service, network) for network in said.get("networks", []))
        yield from (("services", service, needed) for needed in said.get("depends_on", {}))
        for entry in said.get("volumes", []):
            source = entry.split(":")[0]
            if source.startswith("."):
                assert (CHECKOUT / source).exists(), f"{service}: {source}"
            else:
                yield "volumes", service, source
        for entry in said.get("secrets", []):
            yield "secrets", service, entry if isinstance(entry, str) else entry["source"]


@every_stack
def test_nobody_waits_in_a_circle(name: str) -> None:
    services = compose.stack(name)["services"]
    left = {service: set(said.get("depends_on", {})) for service, said in services.items()}
    while free := {service for service, needed in left.items() if not needed & left.keys()}:
        left = {service: needed for service, needed in left.items() if service not in free}
    assert left == {}


def test_every_variable_is_documented_and_every_setting() -> None:
    asked = compose.variables_of(BASE) | compose.variables_of(OVERLAY)
    assert asked - documented() == set()
    settings = {name.upper() for name in Environment.model_fields}
    assert settings - documented() == set()


def test_development_needs_nothing_said() -> None:
    assert compose.load((BASE,), {})["services"]["loc1-web"]["image"] == "sins:local"


@pytest.mark.parametrize("missing", PRODUCTION)
@pytest.mark.parametrize("text", [None, ""])
def test_production_does_not_start_without(missing: str, text: str | None) -> None:
    said = {**PRODUCTION, missing: text}
    given = {name: value for name, value in said.items() if value is not None}
    with pytest.raises(ComposeError, match=f"{missing} is not set"):
        compose.load((BASE, OVERLAY), given)


@every_stack
@pytest.mark.parametrize("location", ["loc1", "loc2", "loc3"])
def test_processes_get_settings_that_are_accepted(
    name: str, location: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the secrets that `make secrets` makes, where compose would show them."""
    make(tmp_path, ADDRESSES)
    project = compose.stack(name)
    directory = PRODUCTION["SINS_SECRETS"] if name == "production" else "./.sins/secrets"
    monkeypatch.chdir(tmp_path)  # no .env lies here
    for process in ("web", "sequencer", "consumer", "ship", "metrics", "migrate"):
        service = project["services"][f"{location}-{process}"]
        shown = {
            f"/run/secrets/{target}": project["secrets"][source]["file"].replace(
                directory, str(tmp_path)
            )
            for source, target in _secrets(service)
        }
        values = {
            key: shown[value] if key.endswith("_FILE") and value else value
            for key, value in service["environment"].items()
        }
        fields = {key.removesuffix("_FILE").lower() for key in values.keys() - BESIDE_SETTINGS}
        assert fields <= Environment.model_fields.keys()
        settings = _settings(values, monkeypatch)
        assert settings.location_id == location
        assert set(settings.peers) == set(ADDRESSES) - {location}
        assert settings.trusted_proxy_count == 1
        # Only `migrate` may change tables.
        assert (settings.database_owner_url is not None) is (process == "migrate")
        is_guarded = name == "production" and process in {"sequencer", "consumer"}
        assert bool(settings.kafka_security) is is_guarded
        assert len(settings.kafka_bootstrap.split(",")) == (3 if is_guarded else 1)


def _secrets(service: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (entry, entry) if isinstance(entry, str) else (entry["source"], entry["target"])
        for entry in service["secrets"]
    ]


def _settings(values: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Environment:
    for field in Environment.model_fields:
        monkeypatch.delenv(field.upper(), raising=False)
    plain = {key.lower(): value for key, value in values.items() if not key.endswith("_FILE")}
    known = {key: value for key, value in plain.items() if key in Environment.model_fields}
    return Environment(**{**known, **values_from_files(values)})


@every_stack
def test_dashboards_are_brought_by_somebody(name: str, tmp_path: Path) -> None:
    make(tmp_path, ADDRESSES)
    said = compose.stack(name)["services"]["kibana-setup"]
    assert said["secrets"] == ["elastic"]
    file = str(tmp_path / "elasticsearch" / "elastic")
    login = Login.of({**said["environment"], "KIBANA_PASSWORD_FILE": file})
    assert (login.url, login.username) == ("http://kibana:5601", "elastic")
    assert len(login.password) > 20


def test_demo_members_are_for_development() -> None:
    for name, members in (("development", "/run/secrets/members"), ("production", "")):
        service = compose.stack(name)["services"]["loc2-migrate"]
        assert service["environment"]["DEMO_MEMBERS_FILE"] == members
        makes = "create_demo_members" in service["command"]
        assert makes is (name == "development")


def test_databases_are_configured_as_the_embedded_one() -> None:
    """Above all: no statement with its values in a log."""
    command = compose.stack("development")["services"]["loc1-postgres"]["command"]
    said = dict(argument.removeprefix("-c").split("=") for argument in command[1:])
    known = dict(re.findall(r"^(\w+) = '?([^'\n]*)'?$", CONFIGURATION, re.MULTILINE))
    assert {"log_error_verbosity", "log_min_error_statement"} <= said.keys()
    assert {name: known[name] for name in said} == said


def test_three_brokers_lose_nothing_when_one_is_away() -> None:
    services = compose.stack("production")["services"]
    brokers = [services[name]["environment"] for name in ("kafka", "kafka2", "kafka3")]
    assert [broker["KAFKA_NODE_ID"] for broker in brokers] == ["1", "2", "3"]
    for broker in brokers:
        factors = {value for key, value in broker.items() if "REPLICATION_FACTOR" in key}
        least = {value for key, value in broker.items() if key.endswith(("MIN_ISR", "REPLICAS"))}
        assert (factors, least) == ({"3"}, {"2"})
        assert broker["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
        assert "PLAINTEXT" not in str(broker)
        # By this the image's start script would ask for Java's own kind of key files.
        assert "SSL://" not in broker["KAFKA_ADVERTISED_LISTENERS"]


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("${A}", "a"),
        ("$A-$$A", "a-$A"),
        ("${B:-x}", "x"),
        ("${B-x}", ""),
        ("${C-x}", "x"),
        ("${A:?why}", "a"),
    ],
)
def test_variables_are_filled_in_as_compose_does(text: str, filled: str) -> None:
    assert compose.interpolated([text], {"A": "a", "B": ""}) == [filled]


@pytest.mark.parametrize("text", ["${C}", "${B:?why}", "${C?why}", "a $ b", "${}"])
def test_missing_variable_is_an_error(text: str) -> None:
    with pytest.raises(ComposeError):
        compose.interpolated(text, {"A": "a", "B": ""})


def test_files_are_laid_over_each_other_as_compose_does() -> None:
    below = {"volumes": ["a:/x", "b:/y:ro"], "command": ["a", "b"], "environment": {"A": "1"}}
    above = {"volumes": ["c:/y"], "command": ["c"], "environment": {"B": "2"}}
    assert compose.merged(below, above) == {
        "volumes": ["a:/x", "c:/y"], "command": ["c"], "environment": {"A": "1", "B": "2"},
    }  # fmt: skip
    with pytest.raises(ComposeError):
        compose.merged({"strange": ["a"]}, {"strange": ["b"]})
