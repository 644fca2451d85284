"""A location with unusable settings does not start, and says which variable is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.environment import ENVIRONMENT

CHECKOUT = Path(__file__).resolve().parents[2]
URL = "postgresql://app:pa%20ss@127.0.0.1:5433/sins?sslmode=disable"
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
        ("DEBUG", "canary"),
        ("FUZZY_HIT_LIMIT", "0"),
        ("NETWORK_TIME_ZONE", "Mars/Canary"),
        ("PUBLIC_URL", "canary"),
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
