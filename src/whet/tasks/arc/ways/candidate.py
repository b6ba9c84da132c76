"""What a way of solving proposes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from whet.tasks.arc.grids import Grid


@dataclass(frozen=True, eq=False)
class Findings:
    """What a way has so far.

    Attributes:
        candidates: the best first.
        note: what kept the way from doing more, as a sentence without a full stop; empty if nothing did.
    """

    candidates: Sequence[Candidate]
    note: str = ""


@dataclass(frozen=True, eq=False)
class Candidate:
    """An answer to all test inputs of a task.

    Attributes:
        outputs: one a test input.
        confidence: of each output, the probability that it is right, as far as its way can tell.
        found: what found it.
        program: its text, if a program was found.
        cost: of the program in its way's own measure.
        votes: of each output, how many views gave it, if views were asked.
        views: how many were asked.
    """

    outputs: tuple[Grid, ...]
    confidence: tuple[float, ...]
    found: str
    program: str = ""
    cost: float | None = None
    votes: tuple[int, ...] = ()
    views: int = 0

    def as_json(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "found": self.found,
            "program": self.program,
            "cost": self.cost,
            "confidence": [round(p, 4) for p in self.confidence],
            "votes": list(self.votes),
            "views": self.views,
            "outputs": [grid.tolist() for grid in self.outputs],
        }
