"""What compose would start, started without containers: its commands, variables, secrets and TLS.

Two locations behind the real nginx, each with a PostgreSQL of its own. Only names of containers
and places inside them are replaced by places of this machine.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import certifi
import httpx
import pytest

from ops.demo.parts import Program
from ops.docker.secrets import ADDRESSES, make
from ops.ports import free_port
from ops.postgres import Cluster
from ops.tests import compose
from ops.tests.compose import CHECKOUT
from ops.tests.door import Door, running

pytestmark = pytest.mark.feature("R06")

LOCATIONS = {"loc1": 8001, "loc2": 8002}
PROCESSES = ("web", "sequencer", "consumer", "metrics")


class Stage:
    """The services of ``docker-compose.yml``, on this machine."""

    def __init__(self, folder: Path, door: Door, webs: dict[str, int]) -> None:
        self.folder, self.door = folder, door
        self.clusters = {name: Cluster(folder / name / "postgres", free_port()) for name in webs}
        self.metrics = {name: free_port() for name in webs}
        self.secrets = folder / "secrets"
        make(self.secrets, ADDRESSES)
        self._project = compose.stack("development")
        self._webs = webs
        self._programs: list[Program] = []

    def prepare(self) -> None:
        """Start the databases, and let secrets name places of this machine."""
        for name, cluster in self.clusters.items():
            cluster.create()
            cluster.start()
            for file in (self.secrets / name).glob("*_url"):
                self._rewrite(file, f"{name}-postgres:5432", f"127.0.0.1:{cluster.port}")
            self._rewrite(
                self.secrets / name / "database_superuser_url", None, cluster.superuser_url()
            )
            for number in LOCATIONS.values():
                here = f"https://localhost:{self.door.port(number)}"
                self._rewrite(self.secrets / name / "peers", f"https://nginx:{number}", here)
        # As in the image, where certifi's list is a link to what is mounted there.
        shutil.copytree(Path(certifi.where()).parent, self.folder / "site" / "certifi")
        bundle = self.folder / "site" / "certifi" / "cacert.pem"
        bundle.unlink()
        bundle.symlink_to(self.door.bundle)

    def run(self, service: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a service, or a command in one, to its end."""
        words = list(command) or self._project["services"][service]["command"]
        return subprocess.run(
            self._here(service, words), env=self._environment(service),
            cwd=CHECKOUT, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def check(self, service: str) -> bool:
        """Return what the service's health check says."""
        _, *command = self._project["services"][service]["healthcheck"]["test"]
        return self.run(service, *command).returncode == 0

    def start(self, service: str) -> None:
        """Start a service that stays."""
        command = self._here(service, self._project["services"][service]["command"])
        environment = functools.partial(self._environment, service)
        log = self.folder / f"{service}.log"
        program = Program(service, None, command, environment, log)
        self._programs.append(program)
        program.start()

    def stop(self) -> None:
        """End everything."""
        for program in self._programs:
            program.ask_to_stop()
        for program in self._programs:
            program.stop()
        for cluster in self.clusters.values():
            cluster.destroy()

    def _environment(self, service: str) -> dict[str, str]:
        said = self._project["services"][service]
        shown = {
            target: self.secrets / self._project["secrets"][source]["file"].split("secrets/", 1)[1]
            for source, target in map(_source_and_target, said["secrets"])
        }
        values = {
            name: str(shown[value.rpartition("/")[2]]) if name.endswith("_FILE") else value
            for name, value in said["environment"].items()
        }
        location = service.partition("-")[0]
        if values.get("PROMETHEUS_MULTIPROC_DIR"):
            values["PROMETHEUS_MULTIPROC_DIR"] = str(self.folder / location / "counts")
        values["METRICS_ADDRESS"] = f"127.0.0.1:{self.metrics[location]}"
        values["KAFKA_BOOTSTRAP"] = "127.0.0.1:1"  # it does not come up
        return {
            "PATH": os.environ["PATH"],
            "PYTHON": sys.executable,
            "PYTHONPATH": str(self.folder / "site"),
            "DJANGO_SETTINGS_MODULE": "sins.settings",
            **{name: self._in_place(location, value) for name, value in values.items()},
        }

    def _here(self, service: str, words: list[str]) -> list[str]:
        location = service.partition("-")[0]
        program = [sys.executable if word == "python" else word for word in words]
        return [self._in_place(location, word) for word in program]

    def _in_place(self, location: str, text: str) -> str:
        for there, port in ((":8000", self._webs[location]), (":9100", self.metrics[location])):
            for host in ("0.0.0.0", "127.0.0.1"):
                text = text.replace(f"{host}{there}", f"127.0.0.1:{port}")
        return text

    @staticmethod
    def _rewrite(file: Path, old: str | None, new: str) -> None:
        text = file.read_text(encoding="ascii")
        file.unlink()
        file.write_text(new if old is None else text.replace(old, new), encoding="ascii")


def _source_and_target(entry: Any) -> tuple[str, str]:
    return (entry, entry) if isinstance(entry, str) else (entry["source"], entry["target"])


def wait_for(what: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Two locations that are prepared, as the one-shot services leave them, and started."""
    webs = {name: free_port() for name in LOCATIONS}
    with running({f"{name}-web:8000": port for name, port in webs.items()}) as door:
        stage = Stage(tmp_path, door, webs)
        try:
            stage.prepare()
            for name in LOCATIONS:
                for once in ("database", "migrate"):
                    done = stage.run(f"{name}-{once}")
                    assert done.returncode == 0, done.stderr
                for process in PROCESSES:
                    stage.start(f"{name}-{process}")
            yield stage
        finally:
            stage.stop()


def token(stage: Stage, location: str) -> dict[str, str]:
    """Return the header of a location's agent, as `make secrets` made it."""
    members = json.loads((stage.secrets / location / "members").read_text(encoding="ascii"))
    return {"Authorization": f"Token {members['agent']['token']}"}


def test_two_locations_behind_https(stage: Stage) -> None:
    with stage.door.client(8001) as here, stage.door.client(8002) as there:
        wait_for(lambda: all(client.get("/readyz").status_code == 200 for client in (here, there)))
        _is_guarded(here)
        made = here.post(
            "/api/v1/customers",
            json={"surname": "Noether", "name": "Emmy"},
            headers=token(stage, "loc1"),
        )
        assert made.status_code == 201, made.text
        path = f"/api/v1/customers/{made.json()['entity_uid']}"
        # No Kafka: it is fetched over HTTPS, from a peer whose authority is this installation's.
        wait_for(lambda: there.get(path, headers=token(stage, "loc2")).status_code == 200)
        _counts(stage, here)
    for name in LOCATIONS:
        for process in PROCESSES:
            assert stage.check(f"{name}-{process}"), process
    stage.clusters["loc2"].stop()
    wait_for(lambda: not stage.check("loc2-web"))
    assert not stage.check("loc2-sequencer")
    assert stage.check("loc1-web")


def _is_guarded(client: httpx.Client) -> None:
    page = client.get("/accounts/login/", headers={"Host": "nginx"})
    assert page.status_code == 200
    cookies = page.headers.get_list("set-cookie")
    assert cookies
    assert all("Secure" in cookie and "HttpOnly" in cookie for cookie in cookies)
    for name in ("content-security-policy", "x-frame-options", "strict-transport-security"):
        assert len(page.headers.get_list(name)) == 1
    assert client.get("/accounts/login/", headers={"Host": "evil.example.org"}).status_code == 400
    assert client.get("/metrics").status_code == 404


def _counts(stage: Stage, client: httpx.Client) -> None:
    shown = httpx.get(f"http://127.0.0.1:{stage.metrics['loc1']}/metrics", trust_env=False).text
    assert "sins_requests_total" in shown
    assert "sins_events_numbered_total 1" in shown  # counted by another process
    assert "Noether" not in shown
