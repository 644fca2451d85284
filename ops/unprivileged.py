"""Runs programs that refuse root as another user, from a place that user can enter.

For anyone but root everything here is plain: the program runs as the caller, where it lies.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

STATE_DIRECTORY: Final = Path("/var/lib/sins")
UNPRIVILEGED_USER: Final = "nobody"
# Nothing of the caller's PG* variables may steer the server.
ENVIRONMENT: Final = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def run_unprivileged(
    command: Sequence[str], environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``command`` to its end, never as root; output and errors come back as one text.

    Of the caller's environment it sees nothing, only ``environment``.
    """
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
            env={**ENVIRONMENT, **(environment or {})},
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


def home_of(directory: Path) -> Path:
    """Return where a server's ``directory`` really lies: for root where that user may enter."""
    if os.geteuid() != 0:
        return directory
    name = hashlib.sha256(os.fsencode(directory)).hexdigest()[:12]
    return STATE_DIRECTORY / f"{directory.name}-{name}"


def link_home(directory: Path) -> None:
    """Let ``directory`` lead to its home."""
    home = home_of(directory)
    if home == directory:
        return
    directory.parent.mkdir(parents=True, exist_ok=True)
    if not directory.is_symlink():
        directory.symlink_to(home, target_is_directory=True)


def running_pid(pid_file: Path, mark: Path) -> int | None:
    """Return the id of the server that wrote ``pid_file``; ``None`` when it does not run.

    ``mark`` is a place its command names.
    """
    try:
        pid = int(pid_file.read_text(encoding="utf-8").split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None
    return pid if is_running(pid, mark) else None


def is_running(pid: int, mark: Path) -> bool:
    """Whether a process runs whose command names ``mark``: the number may be another's by now."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    if not Path("/proc/self/cmdline").exists():
        return True
    try:
        return os.fsencode(mark) in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


@functools.cache
def reachable_package(name: str, *, probe: str) -> Path | None:
    """Return where a package with programs lies for ``run_unprivileged``, copied if need be.

    ``probe`` is a program in it that answers ``--version``. ``None`` if it is not installed.
    """
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        return None
    package = Path(spec.submodule_search_locations[0])
    copies = f"{name}-{importlib.metadata.version(name)}"
    return reachable(package, copies, [str(package / probe), "--version"])


def reachable(directory: Path, copies: str, probe: Sequence[str]) -> Path:
    """Return where programs lie for ``run_unprivileged``: here, or copied below ``copies``.

    ``probe`` is a command that succeeds if that user can use them here.
    """
    if os.geteuid() != 0 or _succeeds(probe):
        return directory
    copy = STATE_DIRECTORY / copies / directory.name
    if not copy.exists():
        _copy(directory, copy)
    return copy


def _succeeds(command: Sequence[str]) -> bool:
    try:
        return run_unprivileged(command).returncode == 0
    except PermissionError:
        return False


def _copy(package: Path, copy: Path) -> None:
    """Copy the package and, beside it, the libraries its programs look for there."""
    STATE_DIRECTORY.mkdir(mode=0o755, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=STATE_DIRECTORY) as scratch:
        made = Path(scratch) / copy.parent.name
        shutil.copytree(package, made / package.name)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, made / libraries.name)
        for path in [made, *made.rglob("*")]:
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        with contextlib.suppress(OSError):  # another process was first
            made.rename(copy.parent)
