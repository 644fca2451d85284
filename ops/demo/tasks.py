"""Management commands that the demo runs to their end, several at once, while it keeps watch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ops.demo.locations import manage
from ops.demo.parts import Program
from ops.demo.places import DemoError


class Task(Program):
    """One management command of one location; ``output`` is what it printed.

    ``command`` is run where it is more than ``manage.py`` with the arguments.
    """

    def __init__(
        self,
        location: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        command: Sequence[str] | None = None,
    ) -> None:
        self._output = folder / f"{arguments[0]}.log"
        super().__init__(
            arguments[0],
            location,
            command or manage(*arguments),
            lambda: environment,
            self._output,
        )

    def start(self) -> None:
        """Start it with an empty log."""
        self._output.parent.mkdir(parents=True, exist_ok=True)
        self._output.unlink(missing_ok=True)
        super().start()

    @property
    def output(self) -> str:
        """What it has printed so far, errors included."""
        return self._output.read_text(encoding="utf-8", errors="replace")

    @property
    def has_failed(self) -> bool:
        """Whether it has ended otherwise than well."""
        return self._process is not None and bool(self._process.poll())


def run_all(tasks: Sequence[Task], *, attempts: int = 1) -> Iterator[None]:
    """Run tasks side by side; yield while they run. ``DemoError`` if one fails every time."""
    left = attempts
    try:
        for task in tasks:
            task.start()
        while True:
            while any(task.pid is not None for task in tasks):
                yield
            failed = [task for task in tasks if task.has_failed]
            if not failed:
                return
            left -= 1
            if left == 0:
                raise DemoError(_failure(failed[0]))
            yield  # what it needs may have to be started again first
            for task in failed:
                task.start()
    finally:
        for task in tasks:
            task.stop()


def _failure(task: Task) -> str:
    last = (task.output.strip().splitlines() or ["it said nothing"])[-1]
    return f"{task.location}: `manage.py {task.name}` failed: {last}"
