"""The roles and users of Elasticsearch, as its security API would be asked for them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ops.elasticsearch.__main__ import main
from ops.tests.door import Upstream

pytestmark = pytest.mark.feature("R02")

NAMES = ("ELASTIC", "KIBANA_SYSTEM", "SHIP", "PROVIDER")


@pytest.fixture
def elasticsearch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Upstream]:
    """A server that takes everything; the passwords lie where compose shows them."""
    for name in NAMES:
        (tmp_path / name).write_text(f"password of {name}\n", encoding="ascii")
        monkeypatch.setenv(f"{name}_PASSWORD_FILE", str(tmp_path / name))
    server = Upstream()
    monkeypatch.setenv("ELASTICSEARCH_URL", f"http://127.0.0.1:{server.server_address[1]}")
    yield server
    server.close()


def asked(elasticsearch: Upstream) -> dict[str, dict[str, Any]]:
    """Return what was asked, by path, in its order."""
    assert {seen["method"] for seen in elasticsearch.seen} <= {"PUT", "POST"}
    paths = [seen["path"] for seen in elasticsearch.seen]
    return dict(zip(paths, map(json.loads, elasticsearch.bodies), strict=True))


def test_everyone_may_do_what_they_need_and_no_more(elasticsearch: Upstream) -> None:
    assert main() == 0
    found = asked(elasticsearch)
    assert list(found) == [
        "/_security/user/kibana_system/_password",
        "/_security/role/sins_ship",
        "/_security/user/sins_ship",
        "/_security/role/sins_provider",
        "/_security/user/sins_provider",
    ]
    ship, provider = found["/_security/role/sins_ship"], found["/_security/role/sins_provider"]
    for role in (ship, provider):
        (indices,) = role["indices"]
        assert indices["names"] == ["sins-tx-*"]
        assert not {"all", "write", "delete", "index", "manage", "delete_index"} & {
            *indices["privileges"]
        }
    assert provider["indices"][0]["privileges"] == ["read", "view_index_metadata"]
    assert "read" not in ship["indices"][0]["privileges"]
    assert "cluster" not in provider
    (kibana,) = provider["applications"]
    assert kibana["privileges"] == ["read"]


def test_passwords_are_those_of_the_secrets(elasticsearch: Upstream) -> None:
    assert main() == 0
    found = asked(elasticsearch)
    assert found["/_security/user/sins_ship"] == {
        "password": "password of SHIP", "roles": ["sins_ship"],
    }  # fmt: skip
    assert found["/_security/user/kibana_system/_password"] == {
        "password": "password of KIBANA_SYSTEM"
    }
    headers = dict(elasticsearch.seen[0]["headers"])
    assert headers["authorization"].startswith("Basic ")


def test_refusal_is_a_sentence(elasticsearch: Upstream, capsys: pytest.CaptureFixture[str]) -> None:
    elasticsearch.status = 403
    assert main() == 1
    said = capsys.readouterr().err
    assert said == "Elasticsearch refused POST /_security/user/kibana_system/_password: 403\n"


def test_silence_is_a_sentence(
    elasticsearch: Upstream,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ELASTICSEARCH_URL", "http://127.0.0.1:1")
    assert main() == 1
    assert capsys.readouterr().err == "Elasticsearch does not answer: ConnectError\n"
