"""Transactions of several records: a file that a management command enters, once an episode."""

from __future__ import annotations

import random
import threading
from pathlib import Path
from typing import Final
from uuid import uuid4

from ops.chaos.processes.history import ACKNOWLEDGED, UNKNOWN, History, Write
from ops.chaos.processes.judging import IMPORT
from ops.chaos.processes.stack import ChaosStack
from ops.chaos.processes.writing import Records
from ops.demo.places import LOCATIONS

ROWS: Final = (5, 40)
BEFORE_SECONDS: Final = 5.0


class Importer:
    """Enters one file at some location; the people of a file are one transaction."""

    def __init__(
        self,
        stack: ChaosStack,
        history: History,
        records: Records,
        directory: Path,
        dice: random.Random,
    ) -> None:
        self._stack, self._history, self._records = stack, history, records
        self._file = directory / "batch.csv"
        self._dice = dice

    def run(self, stop: threading.Event) -> None:
        """Enter a file at some moment, unless told to stop before."""
        if stop.wait(self._dice.uniform(0, BEFORE_SECONDS)):
            return
        text = f"Batch {uuid4().hex}"
        uids = tuple(str(uuid4()) for _ in range(self._dice.randint(*ROWS)))
        lines = ["entity_uid,surname", *(f"{uid},{text}" for uid in uids)]
        self._file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        location = self._dice.choice(LOCATIONS)
        write = Write(location, IMPORT, "load_customers", uids, {"surname": text}, text)
        command = ["load_customers", str(self._file), "--as", "agent"]
        with self._stack.commands[location]:
            self._history.sent(write)
            is_done = self._stack.manage(location, *command).returncode == 0
            self._history.ended(write, ACKNOWLEDGED if is_done else UNKNOWN, None)
        if is_done:
            self._records.batches.append(uids)
            self._records.recent.extend(uids[:3])
