"""The dashboards come into Kibana, however it answers; or a sentence says why not."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ops.docker import certificates
from ops.kibana.__main__ import DONE, REFUSED, TOO_LATE, UNUSABLE, main
from ops.kibana.importer import Login, Refused, TooLate, Unusable, bring
from ops.kibana.saved_objects import ndjson
from ops.ports import free_port
from ops.tests.fake_kibana import HTML, FakeKibana, refusing, running_kibana

pytestmark = pytest.mark.feature("R02")

CHECKOUT = Path(__file__).resolve().parents[2]
OBJECTS = 5
CONFLICT = {"type": "dashboard", "id": "sins-use", "error": {"type": "conflict"}}
BUSY = {
    "type": "search",
    "id": "sins-newest",
    "error": {"type": "unknown", "statusCode": 503, "message": "all shards failed"},
}
UNKNOWN_TYPE = {
    "type": "dashboard",
    "id": "sins-use",
    "error": {"type": "unsupported_type"},
}
MISSING = {
    "type": "dashboard",
    "id": "sins-use",
    "error": {
        "type": "missing_references",
        "references": [{"type": "index-pattern", "id": "sins-tx"}],
    },
}


@pytest.fixture
def kibana() -> Iterator[FakeKibana]:
    with running_kibana() as kibana:
        yield kibana


def login(kibana: FakeKibana, **values: str) -> Login:
    return Login(kibana.url, **{"username": "elastic", "password": "right", **values})


def bring_now(kibana: FakeKibana, patience: float = 60, **values: str) -> list[float]:
    """Import without waiting; return how long it would have waited each time."""
    pauses: list[float] = []
    bring(login(kibana, **values), ndjson(), patience, pauses.append)
    return pauses


def environment(kibana: FakeKibana, **more: str) -> dict[str, str]:
    return {
        "KIBANA_URL": kibana.url,
        "KIBANA_USERNAME": "elastic",
        "KIBANA_PASSWORD": "right",
        **more,
    }


def test_everything_arrives_as_it_was_sent(kibana) -> None:
    assert bring_now(kibana) == []
    [(request, headers)] = kibana.asked
    assert request == "POST /api/saved_objects/_import?overwrite=true"
    assert headers["kbn-xsrf"] == "true"
    assert headers["content-type"].startswith("multipart/form-data; boundary=")
    sent = [json.loads(line) for line in ndjson().splitlines()]
    assert list(kibana.objects.values()) == sent
    assert len(sent) == OBJECTS


def test_again_changes_nothing(kibana) -> None:
    bring_now(kibana)
    before = json.dumps(sorted(kibana.objects.items()))
    bring_now(kibana)
    assert json.dumps(sorted(kibana.objects.items())) == before
    assert len(kibana.asked) == 2


@pytest.mark.parametrize("errors", [[CONFLICT], [BUSY], [CONFLICT, BUSY], []])
def test_no_success_at_first_is_tried_again(kibana, errors) -> None:
    """Kibana answers 200 to it: what counts is the body."""
    kibana.moods = [refusing(*errors), refusing(*errors)]
    assert len(bring_now(kibana)) == 2
    assert len(kibana.objects) == OBJECTS


@pytest.mark.parametrize(
    ("errors", "sentence"),
    [
        ([UNKNOWN_TYPE], "Kibana refuses dashboard sins-use: unsupported_type"),
        ([CONFLICT, MISSING],
         "Kibana refuses dashboard sins-use: missing_references (index-pattern sins-tx)"),
    ],
)  # fmt: skip
def test_no_success_for_good_is_a_sentence(kibana, errors, sentence) -> None:
    kibana.moods = [refusing(*errors)]
    with pytest.raises(Refused, match="Kibana refuses") as refused:
        bring_now(kibana)
    assert str(refused.value) == sentence
    assert len(kibana.asked) == 1


@pytest.mark.parametrize("answer", [
    (200, {"success": True, "successCount": OBJECTS, "errors": [UNKNOWN_TYPE]}),
    (200, {"success": True, "successCount": OBJECTS - 1}),
    (200, {"success": True}),
])  # fmt: skip
def test_success_of_only_a_part_is_none(kibana, answer) -> None:
    kibana.moods = [answer]
    with pytest.raises(Refused):
        bring_now(kibana)


def test_not_ready_yet(kibana) -> None:
    """As it starts: behind a proxy, without its plugins, then busy."""
    kibana.moods = [
        (502, HTML),
        (503, "Kibana server is not ready yet"),
        (503, {"statusCode": 503, "message": "License is not available."}),
        (429, {"statusCode": 429}),
        (500, {"statusCode": 500}),
    ]
    pauses = bring_now(kibana)
    assert len(kibana.objects) == OBJECTS
    assert len(pauses) == 5
    assert pauses[0] <= 0.5
    assert pauses[-1] >= 4


@pytest.mark.parametrize("mood", [(503, "not ready"), refusing(BUSY)])
def test_never_ready(kibana, mood) -> None:
    kibana.moods = [mood] * 10
    with pytest.raises(TooLate, match="Gave up after 0 s"):
        bring_now(kibana, patience=0)
    assert kibana.objects == {}


def test_nobody_there() -> None:
    away = Login(f"http://127.0.0.1:{free_port()}", "elastic", "right")
    with pytest.raises(TooLate, match=r"does not answer at http://127\.0\.0\.1"):
        bring(away, ndjson(), 0)


@pytest.mark.parametrize(("answer", "sentence"), [
    ((403, {"statusCode": 403, "message": "Forbidden"}), "This user may not import"),
    ((400, {"statusCode": 400, "message": "Unexpected token"}), "answers 400: Unexpected token"),
    ((404, HTML), "answers 404: without a reason"),
    ((413, ""), "answers 413: without a reason"),
    ((302, ""), "127.0.0.1 sends elsewhere"),
    ((200, HTML), "What answers at 127.0.0.1 is not Kibana"),
    ((200, ["success"]), "is not Kibana"),
    ((200, {"success": "yes"}), "is not Kibana"),
])  # fmt: skip
def test_refused(kibana, answer, sentence) -> None:
    kibana.moods = [answer]
    with pytest.raises(Refused, match=sentence):
        bring_now(kibana)
    assert len(kibana.asked) == 1


def test_wrong_password(kibana, capsys) -> None:
    assert main([], environment(kibana, KIBANA_PASSWORD="wr0ng")) == REFUSED
    said = capsys.readouterr()
    assert said.err == "Kibana does not accept the user and password, or the API key.\n"
    assert "wr0ng" not in said.out + said.err
    assert len(kibana.asked) == 1


def test_api_key_goes_before_a_user(kibana) -> None:
    kibana.accepts = "ApiKey a2V5"
    assert bring_now(kibana, api_key="a2V5") == []
    assert len(kibana.objects) == OBJECTS


def test_https_with_an_authority_of_ones_own(tmp_path) -> None:
    now = datetime.now(UTC)  # noqa: TID251 - OpenSSL reads it, too
    authority = certificates.ensure_authority(tmp_path, now)
    certificates.ensure_server(tmp_path, authority, "kibana", ["127.0.0.1"], now)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "kibana" / "keystore.pem")
    with running_kibana(tls) as kibana:
        with pytest.raises(Refused, match="is not trusted: set ELASTICSEARCH_CA"):
            bring_now(kibana)
        assert kibana.asked == []
        bring_now(kibana, authority=str(tmp_path / "trust" / "sins-ca.pem"))
        assert len(kibana.objects) == OBJECTS


def test_secrets_may_be_files(tmp_path, kibana) -> None:
    (tmp_path / "password").write_text("right\n")
    named = {"KIBANA_PASSWORD_FILE": str(tmp_path / "password")}
    assert Login.of({**environment(kibana, KIBANA_PASSWORD=""), **named}) == login(kibana)
    with pytest.raises(Unusable, match="KIBANA_API_KEY_FILE cannot be read"):
        Login.of(environment(kibana, KIBANA_API_KEY_FILE=str(tmp_path / "none")))


@pytest.mark.parametrize(("values", "sentence"), [
    ({"KIBANA_URL": ""}, "KIBANA_URL must look like"),
    ({"KIBANA_URL": "kibana:5601"}, "KIBANA_URL must look like"),
    ({"KIBANA_URL": "http://elastic:right@kibana:5601"}, "without a password"),
    ({"KIBANA_PASSWORD": ""}, "Set KIBANA_USERNAME and KIBANA_PASSWORD, or KIBANA_API_KEY"),
    ({"ELASTICSEARCH_CA": "/nowhere.pem"}, "ELASTICSEARCH_CA names no certificate"),
])  # fmt: skip
def test_environment_that_says_too_little(kibana, capsys, values, sentence) -> None:
    assert main(["import"], environment(kibana, **values)) == UNUSABLE
    said = capsys.readouterr().err
    assert sentence in said
    assert "right" not in said
    assert kibana.asked == []


def test_command_as_compose_runs_it(kibana) -> None:
    kibana.moods = [(503, "Kibana server is not ready yet"), refusing(CONFLICT)]
    done = run(environment(kibana))
    assert done.returncode == DONE, done.stderr
    assert done.stdout.splitlines() == [
        "Kibana is not ready: it answers 503. Trying again.",
        "Kibana has not taken dashboard sins-use: conflict. Trying again.",
        f"The dashboards are in Kibana: {kibana.url}/app/dashboards",
    ]
    assert len(kibana.objects) == OBJECTS


def test_too_late_has_a_number_of_its_own(kibana, capsys, monkeypatch) -> None:
    kibana.moods = [(503, "not ready")]
    monkeypatch.setattr(bring, "__defaults__", (0.0, None))
    assert main([], environment(kibana)) == TOO_LATE
    assert capsys.readouterr().err.endswith("Gave up after 0 s.\n")


def run(environ: dict[str, str]) -> subprocess.CompletedProcess[Any]:
    return subprocess.run(
        [sys.executable, "-m", "ops.kibana"],
        env=environ,
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
