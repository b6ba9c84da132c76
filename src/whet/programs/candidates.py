"""Programs that reproduce every training pair."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from whet.programs.expressions import Expression
from whet.programs.images import Grid


@dataclass(frozen=True)
class Candidate:
    """A program that fits, what it costs and what it gives for the tests.

    Attributes:
        found: the mechanism that found it.
    """

    expression: Expression
    cost: float
    predictions: list[Grid]
    found: str

    @property
    def answer(self) -> Hashable:
        """Equal for equal predictions."""
        return tuple((grid.shape, grid.tobytes()) for grid in self.predictions)
