"""A disk of its own for one PostgreSQL, small enough to be filled: root mounts memory for it."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from ops.postgres import Cluster, PostgresError
from ops.unprivileged import give_away

MEGABYTES: Final = 2000
NEEDS_ROOT: Final = "only root can mount a small disk here"
_CHUNKS: Final = (1 << 20, 1 << 12)
_MARGIN: Final = 8 << 20  # left to the chunks: what PostgreSQL takes meanwhile is not there


class SmallDisk:
    """What a stopped cluster's data lies on between ``attach`` and ``detach``."""

    def __init__(self, cluster: Cluster) -> None:
        self._data = cluster.home / "data"
        self._mount = cluster.home.with_name(f"{cluster.home.name}-disk")

    def attach(self) -> None:
        """Move the data there, unless it is, and give it space; ``PostgresError`` if that fails."""
        if self._mount.is_mount():
            self.free()  # a run that was killed may have left it full
            return
        try:
            self._mount.mkdir(mode=0o700, exist_ok=True)
            _mount(self._mount, MEGABYTES)
            give_away(self._mount)
            _move(self._data, self._mount / "data")
            self._data.symlink_to(self._mount / "data", target_is_directory=True)
        except (OSError, subprocess.CalledProcessError) as exc:
            raise PostgresError(f"The small disk at {self._mount} cannot be made.") from exc

    def fill(self) -> None:
        """Take all the space that is left."""
        with self._ballast.open("ab", buffering=0) as file:
            with contextlib.suppress(OSError):  # thousands of writes would each wait for threads
                most = shutil.disk_usage(self._mount).free - _MARGIN
                os.posix_fallocate(file.fileno(), 0, most)
            for size in _CHUNKS:
                with contextlib.suppress(OSError):
                    while True:
                        _write(file.fileno(), bytes(size))

    def free(self) -> None:
        """Give the space back."""
        self._ballast.unlink(missing_ok=True)

    def detach(self) -> None:
        """Move the data back to where the cluster has it, and end the disk."""
        if not self._mount.is_mount():
            return
        self.free()
        if self._data.is_symlink():
            self._data.unlink()
            _move(self._mount / "data", self._data)
        subprocess.run(["umount", str(self._mount)], check=True)  # noqa: S603, S607 - our own mount
        self._mount.rmdir()

    @property
    def _ballast(self) -> Path:
        return self._mount / "ballast"


def can_mount() -> bool:
    """Whether this user may mount a disk: containers often forbid it even to root."""
    if os.geteuid() != 0:
        return False
    with tempfile.TemporaryDirectory() as place:
        try:
            _mount(Path(place), 1)
        except (OSError, subprocess.CalledProcessError):
            return False
        subprocess.run(["umount", place], check=True)  # noqa: S603, S607 - our own mount
    return True


def _mount(place: Path, megabytes: int) -> None:
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "tmpfs", str(place)]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own command


def _move(source: Path, target: Path) -> None:
    """Move a directory to another disk with its owners."""
    command = ["cp", "-a", str(source), str(target)]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own command
    shutil.rmtree(source)


def _write(descriptor: int, chunk: bytes) -> None:
    if os.write(descriptor, chunk) < len(chunk):
        raise OSError(errno.ENOSPC, "full")
