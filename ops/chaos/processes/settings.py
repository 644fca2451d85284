"""The location's settings, on a clock that can be set wrong."""

from __future__ import annotations

import os
from pathlib import Path

from ops.chaos.processes import clock
from sins.settings import *  # noqa: F403

clock.follow(Path(os.environ[clock.VARIABLE]))
