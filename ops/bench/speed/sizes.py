"""How large everything is that the speed table measures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

DETAILS, EVENTS = 1_000_000, 1_000_000
OF_A_PERSON: Final = 9


@dataclass(frozen=True, slots=True)
class Sizes:
    """``details`` that are present, and as many entities of a digest; ``events`` of a new location.

    The other numbers follow from these two; the smallest are what still says something.
    """

    details: int = DETAILS
    events: int = EVENTS

    @property
    def people(self) -> int:
        """Customers of nine details each."""
        return -(-self.details // OF_A_PERSON)

    @property
    def of_a_run(self) -> int:
        """Events that are applied as one run; fewer where there are few people."""
        return min(1000, self.people // 20)

    @property
    def runs(self) -> int:
        """Runs for each of the applying lines: 20 of them, if there are people for two lines."""
        return min(20, (self.people // self.of_a_run - 3) // 2)

    @property
    def sent(self) -> int:
        """Events that wait for the sequencer and the relay."""
        return max(5_000, self.events // 20)

    @property
    def written(self) -> int:
        """Writes of which the time is taken."""
        return max(1_000, self.events // 100)

    @property
    def missed(self) -> int:
        """Events made while two locations were cut off from each other."""
        return self.events // 10

    @property
    def marks(self) -> list[int]:
        """Numbers of events at which memory is read, from a hundredth on."""
        return [self.events // 100, self.events // 10, self.events]
