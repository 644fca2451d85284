"""The location's settings, of its release, and on a clock that can be set wrong."""

from __future__ import annotations

import os
from pathlib import Path

from ops.chaos.processes import clock
from sins.settings import *  # noqa: F403
from sins.settings import INSTALLED_APPS as PRESENT

INSTALLED_APPS = ["ops.chaos.processes.releases.Releases", *PRESENT]

if clock.VARIABLE in os.environ:
    clock.follow(Path(os.environ[clock.VARIABLE]))
