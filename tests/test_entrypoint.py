"""The entrypoint prepares a location and then is the process it was given."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
LINE = "[entrypoint] LOAD_SAMPLE_DATA=1 → running python manage.py load_sample_data"


def run_entrypoint(tmp_path: Path, **variables: str) -> list[str]:
    """Run it with a Python that only says what it was asked to do."""
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\n[ "$1" = - ] || echo "python $*"\n', encoding="utf-8")
    python.chmod(0o755)
    done = subprocess.run(
        ["sh", CHECKOUT / "entrypoint.sh", "echo", "serving"],
        check=True,
        capture_output=True,
        encoding="utf-8",
        env={"PATH": "/usr/bin:/bin", "PYTHON": str(python), **variables},
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize("text", ["1", "true", "YES", "On"])
@pytest.mark.parametrize("name", ["LOAD_SAMPLE_DATA", "load_sample_data"])
def test_sample_data_is_loaded_when_wanted(tmp_path: Path, name: str, text: str) -> None:
    assert run_entrypoint(tmp_path, **{name: text}) == [
        "python manage.py migrate --noinput",
        LINE,
        "python manage.py load_sample_data",
        "serving",
    ]


@pytest.mark.parametrize("text", ["", "0", "false", "no", "off"])
def test_sample_data_is_not_loaded_otherwise(tmp_path: Path, text: str) -> None:
    assert run_entrypoint(tmp_path, LOAD_SAMPLE_DATA=text) == [
        "python manage.py migrate --noinput",
        "serving",
    ]
