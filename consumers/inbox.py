"""What has come from Kafka beyond the cursor, until it is whole and a signed head covers it."""

from __future__ import annotations

from dataclasses import dataclass, field

from consumers import dead_letters
from consumers.verify import Run
from events.chain import Head
from events.streams import PAGE, Item, Position

MOST_WAITING = 10_000


@dataclass
class Inbox:
    """The waiting numbers and verified heads of one stream."""

    origin: str
    epoch: int
    items: dict[int, Item] = field(default_factory=dict)
    heads: dict[int, tuple[Head, int]] = field(default_factory=dict)  # with the offset behind it

    def add(self, item: Item) -> None:
        """Keep a number; one too many is dropped and pulled later."""
        if len(self.items) < MOST_WAITING:
            self.items.setdefault(item.seq, item)

    def add_head(self, head: Head, offset: int) -> None:
        """Keep a head whose signature was checked."""
        if len(self.heads) < MOST_WAITING:
            self.heads[head.seq] = (head, offset + 1)

    def run(self, position: Position) -> Run | None:
        """Return what follows ``position`` up to a head, about a page; ``None`` if nothing does."""
        self.forget(position.seq)
        last = position.seq
        while last + 1 in self.items:
            last += 1
        covered = sorted(seq for seq in self.heads if seq <= last)
        if not covered:
            return None
        end = max((seq for seq in covered if seq <= position.seq + PAGE), default=covered[0])
        head, offset = self.heads[end]
        items = [self.items[seq] for seq in range(position.seq + 1, end + 1)]
        return Run(self.origin, self.epoch, items, head, dead_letters.KAFKA, offset)

    def has_gap(self, position: Position) -> bool:
        """Whether numbers are missing before the first that waits."""
        self.forget(position.seq)
        waiting = bool(self.items or self.heads)
        return waiting and position.seq + 1 not in self.items

    def forget(self, seq: int) -> None:
        """Drop what is at or before ``seq``."""
        for waiting in (self.items, self.heads):
            for number in [n for n in waiting if n <= seq]:
                del waiting[number]

    def drop_from(self, seq: int) -> Item | None:
        """Drop everything from ``seq`` on, for it is to be pulled; return what stood at ``seq``."""
        found = self.items.get(seq)
        self.items = {n: item for n, item in self.items.items() if n < seq}
        self.heads = {n: head for n, head in self.heads.items() if n < seq}
        return found
