"""The report of a run: a line of JSON for each episode, and what all of them add up to."""

from __future__ import annotations

import json
import os
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from ops.chaos.processes.history import FAILURES, MISTAKEN, OUTCOMES, Failure, whole_lines

ALL_FAILURES: Final = (*FAILURES, MISTAKEN)
RUN, EPISODE, FINAL = "run", "episode", "final"


class UnusableReportError(Exception):
    """The report cannot be gone on with; the message is a sentence for a person."""


@dataclass
class Report:
    """What a run has done so far; every line is kept as soon as it is known."""

    path: Path
    head: Mapping[str, Any]
    episodes: list[Mapping[str, Any]]
    final: Mapping[str, Any] | None = None

    @classmethod
    def begun(
        cls,
        path: Path,
        seed: int,
        first_port: int,
        skipped: Sequence[str],
        minutes: float = 0.0,
        only: Sequence[str] = (),
        times: int = 0,
    ) -> Self:
        """Return a new report of a run that is to take so many minutes.

        ``only`` are the kinds that were chosen; ``times``, unless it is 0, says how often each
        leads an episode, and then the run is over, whatever ``minutes`` says.
        """
        head = {
            "seed": seed,
            "minutes": minutes,
            "first_port": first_port,
            "skipped": list(skipped),
            "only": list(only),
            "times": times,
            "date": datetime.now(UTC).date().isoformat(),
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores,"
            f" Python {platform.python_version()}",
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({RUN: head}) + "\n", encoding="utf-8")
        return cls(path, head, [])

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the report that a run left; ``UnusableReportError`` if it is none."""
        try:
            lines = whole_lines(path)
            head = lines[0][RUN]
        except (OSError, ValueError, LookupError) as exc:
            raise UnusableReportError(f"{path} is no report of a run.") from exc
        finals = [line[FINAL] for line in lines if FINAL in line]
        episodes = [line[EPISODE] for line in lines if EPISODE in line]
        return cls(path, head, episodes, finals[0] if finals else None)

    @property
    def directory(self) -> Path:
        """Where the state and the logs of the run are."""
        return self.path.with_suffix(".state")

    @property
    def seconds(self) -> float:
        """How long all episodes took together."""
        return float(sum(episode["seconds"] for episode in self.episodes))

    def keep(self, episode: Mapping[str, Any]) -> None:
        """Keep what came of an episode."""
        self.episodes.append(episode)
        self._write({EPISODE: episode})

    def end(self, final: Mapping[str, Any]) -> None:
        """Keep what the end of the run found."""
        self.final = final
        self._write({FINAL: final})

    def written(self) -> Counter[str]:
        """Return how many writes were sent, and how many ended how."""
        found: Counter[str] = Counter()
        for line in self._lines():
            found.update(line["written"])
        return found

    def faults(self) -> Counter[str]:
        """Return how many faults of each kind there were."""
        return Counter(fault["kind"] for each in self.episodes for fault in each["faults"])

    def failures(self) -> Counter[str]:
        """Return how many failures of each kind there were."""
        return Counter(failure["kind"] for line in self._lines() for failure in line["failures"])

    def died(self) -> int:
        """Return how many processes have ended by themselves."""
        return sum(len(line["died"]) for line in self._lines())

    def summary(self) -> str:
        """Return what all episodes add up to, in lines for a person."""
        written = self.written()
        failures = self.failures()
        return "\n".join(
            [
                f"seed {self.head['seed']}: {len(self.episodes)} episodes in {self.seconds:.0f} s",
                *(f"  {kind}: {count}" for kind, count in sorted(self.faults().items())),
                *(f"  {kind}: skipped" for kind in self.head["skipped"]),
                f"writes: {written['sent']} sent = "
                + " + ".join(f"{written[name]} {name}" for name in OUTCOMES),
                ", ".join(f"{name} {failures[name]}" for name in ALL_FAILURES),
                f"processes that ended by themselves: {self.died()}",
            ]
        )

    def _lines(self) -> list[Mapping[str, Any]]:
        return [*self.episodes, *([self.final] if self.final else [])]

    def _write(self, line: Mapping[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def described(failures: Sequence[Failure]) -> list[dict[str, str]]:
    """Return failures as they stand in the report."""
    return [{"kind": kind, "sentence": sentence} for kind, sentence in failures]
