"""``manage.py sync_status``: how this location stands to its peers."""

from __future__ import annotations

import json
import sys
from typing import Any

from events.console import OperatorCommand, columns
from events.status import EQUAL, LOCAL_ONLY, sync_status

HEADINGS = (
    "location", "reached", "state", "theirs, applied here", "ours, applied there", "digest",
    "clock",
)  # fmt: skip


class Command(OperatorCommand):
    help = (
        "Show numbers, lag and digest of this location and its peers. Ends with 0 when all hold "
        "the same or there are no peers, 1 when anything else is so."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        status = sync_status(is_fresh=True)
        if options["json"]:
            self.stdout.write(json.dumps(status))
        else:
            self._say(status)
        states = {status["state"], *(peer["state"] for peer in status["peers"])}
        if states not in ({EQUAL}, {LOCAL_ONLY}):
            sys.exit(1)

    def _say(self, status: dict[str, Any]) -> None:
        oldest = status["oldest_unreplicated_seconds"]
        age = f", the oldest {oldest} s old" if oldest is not None else ""
        self.stdout.write(
            f"{status['location']}  {status['state']}, {status['seq']} events in epoch"
            f" {status['epoch']}, digest {status['digest']}"
        )
        self.stdout.write(f"  only here: {status['unreplicated']} events{age}")
        for name in ("conflicts", "parked", "dead_letters"):
            self.stdout.write(f"  {name.replace('_', ' ')}: {status[name]}")
        for each in status["stuck"]:
            self.stdout.write(f"  stuck: {_stuck(each)}")
        if status["peers"]:
            for line in columns([HEADINGS, *(_row(peer, status) for peer in status["peers"])]):
                self.stdout.write(line)


def _stuck(each: dict[str, Any]) -> str:
    return (
        f"{each['origin']} has stood at {each['applied_seq']} of {each['their_seq']} in epoch"
        f" {each['epoch']} since {each['since']} ({each['seconds']} s),"
        f" as {', '.join(each['peers'])} can show: {each['reason']}"
    )


def _row(peer: dict[str, Any], status: dict[str, Any]) -> tuple[object, ...]:
    seconds, offset = peer["last_contact_seconds"], peer["clock_offset_ms"]
    ago = "never" if seconds is None else f"{seconds} s ago"
    return (
        peer["location"],
        ago if peer["reachable"] or seconds is None else f"no, {ago}",
        peer["state"],
        f"{peer['applied_seq']} of {peer['their_seq']}",
        f"{peer['acknowledged_seq']} of {status['seq']}",
        peer["digest"] or None,
        None if offset is None else f"{offset} ms",
    )
