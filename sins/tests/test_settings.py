"""A location with unusable settings does not start, and says which variable is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.environment import ENVIRONMENT, test_key

CHECKOUT = Path(__file__).resolve().parents[2]
URL = "postgresql://app:pa%20ss@127.0.0.1:5433/sins?sslmode=disable"
KEY = test_key("a public key")
PRINT = "from sins import settings; print(repr(settings.{}))"


def read(name: str, tmp_path: Path, **changed: str) -> subprocess.CompletedProcess[str]:
    """Print one setting in a process of its own, where no ``.env`` lies."""
    given = ENVIRONMENT | {"DATABASE_URL": URL} | changed
    return subprocess.run(
        [sys.executable, "-c", PRINT.format(name)],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(CHECKOUT), "PATH": os.environ["PATH"], **given},
    )


def shown(name: str, tmp_path: Path, **changed: str) -> str:
    done = read(name, tmp_path, **changed)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_variables_are_read(tmp_path: Path) -> None:
    assert shown("FUZZY_HIT_LIMIT", tmp_path, FUZZY_HIT_LIMIT="7") == "7"
    database = shown("DATABASES", tmp_path)
    for part in ("'NAME': 'sins'", "'PASSWORD': 'pa ss'", "'PORT': 5433", "'sslmode': 'disable'"):
        assert part in database


def test_dotenv_is_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("fuzzy_hit_limit=9\nLOCATION_ID=other\n", encoding="utf-8")
    assert shown("FUZZY_HIT_LIMIT", tmp_path, FUZZY_HIT_LIMIT="") == "25"
    assert shown("LOCATION_ID", tmp_path) == "'loc1'"


@pytest.mark.parametrize("text", ["1", "true", "Yes", "ON"])
@pytest.mark.parametrize("name", ["LOAD_SAMPLE_DATA", "load_sample_data"])
def test_sample_data_is_switched_on_in_any_case(tmp_path: Path, name: str, text: str) -> None:
    assert shown("LOAD_SAMPLE_DATA", tmp_path, **{"LOAD_SAMPLE_DATA": "", name: text}) == "True"


def test_kafka_is_off_when_empty(tmp_path: Path) -> None:
    assert shown("KAFKA_BOOTSTRAP", tmp_path, KAFKA_BOOTSTRAP="") == "''"


def test_cookies_are_secure_behind_https(tmp_path: Path) -> None:
    assert shown("SESSION_COOKIE_SECURE", tmp_path, PUBLIC_URL="https://a.example") == "True"
    assert shown("SESSION_COOKIE_SECURE", tmp_path, PUBLIC_URL="http://localhost:8001") == "False"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LOCATION_ID", ""),
        ("LOCATION_ID", "genesis"),
        ("LOCATION_ID", "Not A Name"),
        ("SECRET_KEY", "short"),
        ("DATABASE_URL", "mysql://canary@host/db"),
        ("NETWORK_ID", "canary"),
        ("WRAPPING_KEY", "Y2FuYXJ5"),
        ("LOCATION_KEY", "canary!"),
        ("PEERS", "{canary"),
        ("PEERS", '{"loc2": {"url": "http://far.example", "public_key": "Y2FuYXJ5"}}'),
        ("PEERS", '{"loc2": {"url": "https://far.example"}}'),
        ("PEERS", json.dumps({"loc2": {"url": "https://canary@far", "public_key": KEY}})),
        ("DEBUG", "canary"),
        ("FUZZY_HIT_LIMIT", "0"),
        ("NETWORK_TIME_ZONE", "Mars/Canary"),
        ("PUBLIC_URL", "canary"),
        ("ELASTICSEARCH_HOST", "canary:9200"),
        ("ELASTICSEARCH_HOST", "http://canary:canary"),
    ],
)
def test_unusable_variable_is_named_without_its_value(
    tmp_path: Path, name: str, value: str
) -> None:
    done = read("LOCATION_ID", tmp_path, **{name: value})
    assert done.returncode != 0
    sentence = done.stderr.strip().splitlines()[-1]
    assert name in sentence
    assert "canary" not in sentence.lower()
    assert "Y2FuYXJ5" not in sentence


def test_variable_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql://app:from-file@db/sins\n", encoding="utf-8")
    given = {"DATABASE_URL": "", "DATABASE_URL_FILE": str(tmp_path / "url")}
    assert "'PASSWORD': 'from-file'" in shown("DATABASES", tmp_path, **given)


@pytest.mark.parametrize("name", ["SECRET_KEY", "LOCATION_KEY", "PEERS", "ELASTICSEARCH_HOST"])
def test_every_variable_may_stand_in_a_file(tmp_path: Path, name: str) -> None:
    value = ENVIRONMENT[name] or "http://ship:secret@search:9200"
    (tmp_path / "file").write_text(f"{value}\n", encoding="utf-8")
    given = {name: "", f"{name}_FILE": str(tmp_path / "file")}
    assert shown(name, tmp_path, **given) == (value if value == "{}" else repr(value))


def test_file_goes_before_dotenv(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LOCATION_ID=other\n", encoding="utf-8")
    (tmp_path / "file").write_text("filed", encoding="utf-8")
    given = {"LOCATION_ID": "", "LOCATION_ID_FILE": str(tmp_path / "file")}
    assert shown("LOCATION_ID", tmp_path, **given) == "'filed'"


def test_variable_and_its_file_are_one_too_many(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("canary" * 8, encoding="utf-8")
    done = read("SECRET_KEY", tmp_path, SECRET_KEY_FILE=str(tmp_path / "file"))
    assert done.stderr.strip().endswith("SECRET_KEY and SECRET_KEY_FILE are both set.")
    assert "canary" not in done.stderr


def test_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    given = {"SECRET_KEY": "", "SECRET_KEY_FILE": str(tmp_path / "nothing")}
    done = read("SECRET_KEY", tmp_path, **given)
    assert done.stderr.strip().endswith("SECRET_KEY_FILE names a file that cannot be read.")


def test_kafka_security_holds_only_how_to_connect(tmp_path: Path) -> None:
    tls = '{"security.protocol": "ssl"}'
    assert shown("KAFKA_SECURITY", tmp_path, KAFKA_SECURITY=tls) == "{'security.protocol': 'ssl'}"
    done = read("KAFKA_SECURITY", tmp_path, KAFKA_SECURITY='{"acks": "0"}')
    assert "KAFKA_SECURITY may only hold librdkafka's security" in done.stderr
