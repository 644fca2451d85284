"""Runs programs that refuse root as another user, from a place that user can enter.

For anyone but root everything here is plain: the program runs as the caller, where it lies.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

STATE_DIRECTORY: Final = Path("/var/lib/sins")
UNPRIVILEGED_USER: Final = "nobody"
# Nothing of the caller's PG* variables may steer the server.
ENVIRONMENT: Final = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def run_unprivileged(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run ``command`` to its end, never as root; output and errors come back as one text."""
    user = pwd.getpwnam(UNPRIVILEGED_USER) if os.geteuid() == 0 else None
    # A file, not a pipe: a server that outlives the command would keep a pipe open for ever.
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        done = subprocess.run(  # noqa: S603 - only programs named in this package
            list(command),
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=ENVIRONMENT,
            user=user.pw_uid if user else None,
            group=user.pw_gid if user else None,
            extra_groups=() if user else None,
            umask=0o077,
            start_new_session=True,
        )
        output.seek(0)
        return subprocess.CompletedProcess(list(command), done.returncode, output.read())


def give_away(path: Path) -> None:
    """Hand ``path`` to the user that ``run_unprivileged`` runs as."""
    if os.geteuid() == 0:
        user = pwd.getpwnam(UNPRIVILEGED_USER)
        os.chown(path, user.pw_uid, user.pw_gid)


@functools.cache
def reachable_package(name: str, *, probe: str) -> Path | None:
    """Return where a package with programs lies for ``run_unprivileged``, copied if need be.

    ``probe`` is a program in it that answers ``--version``. ``None`` if it is not installed.
    """
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        return None
    package = Path(spec.submodule_search_locations[0])
    if os.geteuid() != 0 or _is_reachable(package / probe):
        return package
    copy = STATE_DIRECTORY / f"{name}-{importlib.metadata.version(name)}" / name
    if not copy.exists():
        _copy(package, copy)
    return copy


def _is_reachable(program: Path) -> bool:
    try:
        return run_unprivileged([str(program), "--version"]).returncode == 0
    except PermissionError:
        return False


def _copy(package: Path, copy: Path) -> None:
    """Copy the package and, beside it, the libraries its programs look for there."""
    STATE_DIRECTORY.mkdir(mode=0o755, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=STATE_DIRECTORY) as scratch:
        shutil.copytree(package, Path(scratch) / package.name)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, Path(scratch) / libraries.name)
        for path in [Path(scratch), *Path(scratch).rglob("*")]:
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        shutil.copytree(scratch, copy.parent, dirs_exist_ok=True)
