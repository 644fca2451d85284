"""What no container may do, whichever it is: each line of the house rules, for every service."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ops.tests import compose
from ops.tests.compose import BASE, CHECKOUT, OVERLAY

pytestmark = pytest.mark.feature("R06")

SERVICES = [
    pytest.param(said, id=f"{stack}-{name}")
    for stack in compose.STACKS
    for name, said in compose.stack(stack)["services"].items()
]
every_service = pytest.mark.parametrize("service", SERVICES)
PINNED = re.compile(r"[\w./-]+:\d+(\.\d+)+[\w.-]*(@sha256:[0-9a-f]{64})?")
BY_TAG_ALONE = {"docker.elastic.co/kibana/kibana"}  # no digest could be learned
OURS = re.compile(r"sins:(local|\d+(\.\d+)*)")
PORTS = ["8001:8001", "8002:8002", "8003:8003", "5601:5601"]
SECRET_NAME = re.compile(r"PASSWORD|SECRET|TOKEN|_KEY\b|CREDENTIAL|_URL$|AUTH|JAAS|PEERS|HOST$")
PLAIN = {
    "PUBLIC_URL", "SERVER_PUBLICBASEURL", "ELASTICSEARCH_URL", "KIBANA_URL",
    "KAFKA_LISTENER_NAME_BROKERS_SSL_CLIENT_AUTH",
    "KAFKA_LISTENER_NAME_CONTROLLER_SSL_CLIENT_AUTH",
    "KAFKA_AUTHORIZER_CLASS_NAME",
}  # fmt: skip


@every_service
def test_runs_as_somebody_and_not_as_root(service: dict[str, Any]) -> None:
    user, group = service["user"].split(":")
    assert int(user) > 0
    assert int(group) >= 0
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"cap_add", "privileged", "devices", "pid", "ipc", "userns_mode"} & service.keys()


@every_service
def test_disk_is_read_only_and_no_socket_of_the_host_is_there(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    for entry in service.get("volumes", []):
        source, *rest = entry.split(":")
        assert "sock" not in entry
        if source.startswith((".", "/")):
            assert rest[-1] == "ro"


@every_service
def test_is_limited(service: dict[str, Any]) -> None:
    assert 0 < service["cpus"] <= 2
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert 0 < service["pids_limit"] <= 512
    assert service["logging"]["options"]["max-size"]


@every_service
def test_says_whether_it_is_well_unless_it_ends(service: dict[str, Any]) -> None:
    check = service["healthcheck"]
    if service["restart"] == "no":
        assert check == {"disable": True}
        return
    assert service["restart"] == "unless-stopped"
    assert check["test"][0] in {"CMD", "CMD-SHELL"}
    assert check["interval"]
    assert check["timeout"]


@every_service
def test_image_is_pinned(service: dict[str, Any]) -> None:
    image = service["image"]
    if OURS.fullmatch(image):
        return
    assert PINNED.fullmatch(image), image
    name = image.split(":")[0]
    assert ("@sha256:" in image) is (name not in BY_TAG_ALONE)


@every_service
def test_holds_no_secret_in_clear(service: dict[str, Any]) -> None:
    for name, value in service.get("environment", {}).items():
        if SECRET_NAME.search(name) and name not in PLAIN:
            is_file = name.endswith("_FILE") and value.startswith("/run/secrets/")
            is_public = value == "" or "ScramLoginModule required;" in value
            assert is_file or is_public, name
    everything = str(service)
    assert not re.search(r"://[^/\s'\"]+:[^/\s'\"]+@", everything)
    assert not re.search(r"BEGIN [A-Z ]*PRIVATE KEY", everything)


@pytest.mark.parametrize("stack", compose.STACKS)
def test_only_nginx_is_reached_from_outside(stack: str) -> None:
    project = compose.stack(stack)
    published = {
        name: said["ports"] for name, said in project["services"].items() if "ports" in said
    }
    assert published == {"nginx": PORTS}
    open_networks = {name for name, said in project["networks"].items() if not said.get("internal")}
    in_them = {
        name
        for name, said in project["services"].items()
        if open_networks & set(said.get("networks", [])) or "network_mode" in said
    }
    assert in_them == {"nginx", "certificates"}
    assert project["services"]["certificates"]["network_mode"] == "none"


@pytest.mark.parametrize("stack", compose.STACKS)
@pytest.mark.parametrize("number", [1, 2, 3])
def test_location_keeps_its_own_to_itself(stack: str, number: int) -> None:
    project = compose.stack(stack)
    own = f"loc{number}"
    for name, said in project["services"].items():
        secrets = {
            entry if isinstance(entry, str) else entry["source"]
            for entry in said.get("secrets", [])
        }
        if not name.startswith(f"{own}-"):
            assert own not in said.get("networks", [])
            assert not [secret for secret in secrets if secret.startswith(f"{own}_")]
        holders = {f"{own}-database", f"{own}-migrate"}
        if f"{own}_database_owner_url" in secrets:
            assert name in holders
        if {f"{own}_database_superuser_url", f"{own}_database_superuser"} & secrets:
            assert name in {f"{own}-database", f"{own}-postgres"}


def is_like_a_secret(word: str) -> bool:
    """Whether a long word looks drawn by chance: letters of both cases with digits between them."""
    return all(re.search(kind, word) for kind in (r"[a-z]", r"[A-Z]", r"\d"))


def test_no_secret_stands_in_the_files() -> None:
    assert is_like_a_secret("jm0Yk3Qe6xW2r9Tz5uB8nC1vD4fG7hJ0kL3pM6qR9sE=")
    files = [BASE, OVERLAY, "Dockerfile", ".env.example", ".dockerignore"]
    files += [
        str(path.relative_to(CHECKOUT))
        for folder in ("docker", "nginx", "elasticsearch")
        for path in (CHECKOUT / "ops" / folder).iterdir()
        if path.is_file()
    ]
    for file in files:
        text = (CHECKOUT / file).read_text(encoding="utf-8")
        words = re.findall(r"[A-Za-z0-9+/_-]{24,}={0,2}", re.sub(r"sha256:[0-9a-f]{64}", "", text))
        assert [word for word in words if is_like_a_secret(word) and "/" not in word] == [], file


def test_private_files_stay_out_of_image_and_repository() -> None:
    kept_out = (CHECKOUT / ".gitignore").read_text(encoding="utf-8").split()
    assert {".sins/", ".env"} <= set(kept_out)
    first, *named = (
        line
        for line in (CHECKOUT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    )
    assert first == "*"
    taken = {line[1:] for line in named if line.startswith("!")}
    assert not {".env", ".sins", ".git", "tests", "node_modules", ".venv"} & taken
    assert {"**/tests", "**/__pycache__"} <= set(named)
