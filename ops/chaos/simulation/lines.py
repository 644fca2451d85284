"""The network between locations: lines that are cut, in one or both ways, answers that get lost."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import httpx

ADDRESS = "http://{}.simulated"


class Line(NamedTuple):
    """The way from one location to another."""

    sender: str
    receiver: str


@dataclass(frozen=True, slots=True)
class Question:
    """A request on its way; the answer is to the bytes alone."""

    line: Line
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


Answering = Callable[[Question], tuple[int, bytes]]


@dataclass
class Lines:
    """Which lines work; ``loss`` is the share of answers that never arrive."""

    dice: random.Random
    cut: set[Line] = field(default_factory=set)
    loss: float = 0.0
    late: list[Question] = field(default_factory=list)  # they arrive when nobody waits any more

    def heal(self) -> None:
        """Let all lines work."""
        self.cut.clear()
        self.loss = 0.0

    def ask(self, question: Question, answer: Answering) -> tuple[int, bytes]:
        """Carry a question and its answer; ``httpx.TransportError`` if one of them is lost."""
        there = question.line
        if there in self.cut:
            raise httpx.ConnectTimeout("cut")
        if self.dice.random() < self.loss:
            if question.method == "POST":
                self.late.append(question)
            raise httpx.ReadTimeout("the question is late")
        found = answer(question)
        if Line(there.receiver, there.sender) in self.cut or self.dice.random() < self.loss:
            raise httpx.ReadTimeout("the answer is lost")
        return found


class Transport(httpx.BaseTransport):
    """What one location's HTTP client sends through."""

    def __init__(self, sender: str, lines: Lines, answer: Answering) -> None:
        self._sender, self._lines, self._answer = sender, lines, answer

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request to the location that its host names."""
        receiver = request.url.host.partition(".")[0]
        question = Question(
            Line(self._sender, receiver),
            request.method,
            request.url.path,
            request.url.query.decode(),
            dict(request.headers),
            request.read(),
        )
        status, body = self._lines.ask(question, self._answer)
        return httpx.Response(status, content=body)
