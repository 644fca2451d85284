"""What can be wrong with what another location, or Kafka, delivers."""

from __future__ import annotations

from events.errors import SinsError


class NotVerified(SinsError):
    """This run of events is not what its origin signed."""

    def __init__(self, seq: int) -> None:
        super().__init__()
        self.seq = seq  # the first number that does not fit


class Refused(SinsError):
    """This request is not signed by a registered location, or not for here and now."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason


class PeerFailed(SinsError):
    """A peer did not answer as it should."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason
