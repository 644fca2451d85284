"""A real Elasticsearch, started without containers."""

from __future__ import annotations

import subprocess
from pathlib import Path

import httpx
import pytest

from ops import elasticsearch_server
from ops.elasticsearch_server import ElasticsearchError, ElasticsearchServer

JDK = "java.base@{}.0.1\njdk.jdi@{}.0.1\n"
JRE = "java.base@25.0.1\njava.logging@25.0.1\n"


@pytest.fixture(autouse=True)
def _fresh_look() -> None:
    elasticsearch_server.java_home.cache_clear()
    elasticsearch_server.programs.cache_clear()


@pytest.mark.elasticsearch
@pytest.mark.feature("R01")
def test_node_keeps_what_it_acknowledged_through_a_kill(
    real_elasticsearch: ElasticsearchServer,
) -> None:
    real_elasticsearch.start()
    path = f"{real_elasticsearch.url}/kept/_create/one"
    assert httpx.put(path, json={"n": 1}, trust_env=False).status_code == 201
    real_elasticsearch.kill()
    assert real_elasticsearch.pid is None
    real_elasticsearch.start()
    assert httpx.put(path, json={"n": 2}, trust_env=False).status_code == 409
    httpx.delete(f"{real_elasticsearch.url}/kept", trust_env=False).raise_for_status()


def test_missing_programs_are_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SINS_ELASTICSEARCH", str(tmp_path))
    with pytest.raises(ElasticsearchError, match="make elasticsearch"):
        elasticsearch_server.programs()


@pytest.fixture
def only_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one Java there is, in JAVA_HOME; what it has is up to the test."""
    monkeypatch.setattr(elasticsearch_server, "JAVA_HOMES", tmp_path / "none")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("modules", [JDK.format(17, 17), JRE, "", None])
def test_missing_jdk_is_one_sentence(
    only_java: Path, monkeypatch: pytest.MonkeyPatch, modules: str | None
) -> None:
    """Also one that is too old, a JRE, and a file that is no program."""

    def run(command: list[str]) -> subprocess.CompletedProcess[str]:
        if modules is None:
            raise PermissionError
        return subprocess.CompletedProcess(command, 0, modules)

    monkeypatch.setattr(elasticsearch_server, "run_unprivileged", run)
    with pytest.raises(ElasticsearchError, match="full JDK 21 or later"):
        elasticsearch_server.java_home()


@pytest.mark.parametrize("version", [21, 25])
def test_jdk_is_found(only_java: Path, monkeypatch: pytest.MonkeyPatch, version: int) -> None:
    def run(command: list[str]) -> subprocess.CompletedProcess[str]:
        assert command == [f"{only_java}/bin/java", "--list-modules"]
        return subprocess.CompletedProcess(command, 0, JDK.format(version, version))

    monkeypatch.setattr(elasticsearch_server, "run_unprivileged", run)
    assert elasticsearch_server.java_home() == only_java
