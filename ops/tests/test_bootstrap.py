"""What a newcomer without a fitting Python is told."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

BOOTSTRAP = Path(__file__).resolve().parents[1] / "bootstrap.sh"


def run_bootstrap(python: Path | str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", BOOTSTRAP, "demo"],
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "PYTHON": str(python)},
    )


@pytest.mark.feature("R07")
@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ("*version_info*) exit 1;; *python_version*) echo 3.10.4;;", "3.11 or later; {} is 3.10.4"),
        ("*ensurepip*) exit 1;;", "venv module is missing"),
    ],
)
def test_unfitting_python_is_one_sentence(tmp_path: Path, answers: str, sentence: str) -> None:
    python = tmp_path / "python3"
    python.write_text(f'#!/bin/sh\ncase "$*" in {answers} esac\n', encoding="utf-8")
    python.chmod(0o755)
    done = run_bootstrap(python)
    assert done.returncode == 2
    assert sentence.format(python) in done.stderr
    assert done.stderr.count("\n") == 1


def test_missing_python_is_one_sentence(tmp_path: Path) -> None:
    done = run_bootstrap(tmp_path / "python3")
    assert done.returncode == 2
    assert done.stderr == "Python is not installed: SINS needs Python 3.11 or later.\n"
