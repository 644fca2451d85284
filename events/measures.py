"""What is counted and timed while working, for Prometheus; labels hold no personal values.

With ``PROMETHEUS_MULTIPROC_DIR`` all processes of a location count into files of that directory,
which ``manage.py serve_metrics`` adds up; without it nothing leaves the process.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Final

DIRECTORY: Final = os.environ.get("PROMETHEUS_MULTIPROC_DIR", "")
if DIRECTORY:
    Path(DIRECTORY).mkdir(parents=True, exist_ok=True)  # the library wants it when it is imported
else:
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)  # empty, it would mean the current directory

from prometheus_client import Counter, Histogram, values  # noqa: E402

if DIRECTORY:
    # Processes of several containers share the directory, and may have the same process id.
    values.ValueClass = values.MultiProcessValue(  # type: ignore[no-untyped-call]
        lambda: f"{socket.gethostname()}-{os.getpid()}"
    )

SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

requests = Counter("sins_requests", "Requests answered", ["method", "route", "status"])
request_seconds = Histogram("sins_request_seconds", "Time to answer", ["route"], buckets=SECONDS)
search_seconds = Histogram("sins_search_seconds", "Time of a search", ["mode"], buckets=SECONDS)
numbered = Counter("sins_events_numbered", "Own events that were given a number")
published = Counter("sins_events_published", "Own events that Kafka has taken")
applied = Counter("sins_events_applied", "Other locations' events applied", ["origin", "source"])
