"""The image: what it is built from, and what can be seen of it without building it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ops.tests.compose import CHECKOUT
from tests.environment import ENVIRONMENT, NOWHERE

pytestmark = pytest.mark.feature("R06")

DOCKERFILE = (CHECKOUT / "Dockerfile").read_text(encoding="utf-8")
FINAL = DOCKERFILE[DOCKERFILE.rindex("FROM ") :]
BASE = re.compile(r"python:3\.11\.\d+-slim-bookworm@sha256:[0-9a-f]{64}")
# Programs of the image, from whose folders nothing else is taken.
TAKEN = {
    "accounts", "cockpit", "consumers", "customers", "data", "entrypoint.sh", "events",
    "gunicorn.conf.py", "locale", "manage.py", "ops", "requirements.txt", "sins",
}  # fmt: skip


def test_dockerfile_has_no_known_mistakes() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [linter, "--failure-threshold", "style", "Dockerfile"],
        cwd=CHECKOUT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "")


def test_both_stages_begin_with_the_python_that_is_tested() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(bases) == 2
    assert len(set(bases)) == 1
    assert BASE.fullmatch(bases[0])


def test_final_stage_runs_as_nobody_and_builds_nothing() -> None:
    assert re.search(r"^USER 10001:10001$", FINAL, re.MULTILINE)
    assert FINAL.index("USER 10001") < FINAL.index("CMD [")
    assert "apt-get" not in DOCKERFILE
    assert "pip uninstall --yes --quiet pip setuptools wheel" in FINAL
    assert "pip install" not in FINAL
    assert "--require-hashes --only-binary :all:" in DOCKERFILE
    assert not re.search(r"^ADD ", DOCKERFILE, re.MULTILINE)
    assert "--chown" not in FINAL  # nobody in it may change what it runs


def test_image_takes_what_is_named_and_all_of_it_is_there() -> None:
    lines = (CHECKOUT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    named = {line[1:] for line in lines if line.startswith("!")}
    assert named == TAKEN
    assert [name for name in named if not (CHECKOUT / name).exists()] == []
    packages = {path.parent.name for path in CHECKOUT.glob("*/__init__.py")} - {"tests"}
    assert packages <= named


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """The folder the image is made from, as .dockerignore leaves it."""
    ignored = (CHECKOUT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    left_out = [line for line in ignored if line.startswith(("ops/", "**/"))]
    for name in TAKEN:
        subprocess.run(["cp", "-R", CHECKOUT / name, tmp_path / name], check=True)
    for pattern in left_out:
        for path in tmp_path.glob(pattern):
            subprocess.run(["rm", "-r", path], check=True)
    return tmp_path


def run(image: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a Python program of the image."""
    return subprocess.run(
        [sys.executable, *command], cwd=image, capture_output=True, text=True, check=False,
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **variables},
    )  # fmt: skip


SERVED = """
import django
django.setup()
from django.conf import settings
from django.test import Client
answer = Client().get("/static/cockpit/app.css", headers={"Accept-Encoding": "gzip"})
print(answer.status_code, answer["Content-Encoding"], settings.WHITENOISE_USE_FINDERS)
"""


def test_static_files_are_collected_and_served_from_there(image: Path) -> None:
    """With nothing of a location in the environment: there is none while an image is built."""
    done = run(image, "-m", "ops.docker.static")
    assert done.returncode == 0, done.stderr
    assert (image / "staticfiles" / "cockpit" / "app.css").exists()
    assert (image / "staticfiles" / "drf_spectacular_sidecar").is_dir()
    location = {
        **ENVIRONMENT, "DATABASE_URL": NOWHERE, "DJANGO_SETTINGS_MODULE": "sins.settings",
    }  # fmt: skip
    served = run(image, "-c", SERVED, **location)
    assert served.stdout.splitlines()[-1] == "200 gzip False", served.stderr


def test_every_process_of_the_image_can_be_imported(image: Path) -> None:
    """Nothing the processes need was left out of it."""
    modules = [
        "ops.docker.certificates", "ops.docker.database", "ops.docker.health",
        "ops.docker.kafka", "ops.docker.secrets", "ops.elasticsearch.__main__",
        "ops.kibana.__main__",
    ]  # fmt: skip
    done = run(image, "-c", f"import {', '.join(modules)}")
    assert done.returncode == 0, done.stderr
    assert not list(image.rglob("tests"))
    assert not (image / "ops" / "bench").exists()
