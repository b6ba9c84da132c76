"""The nearest neighbour over and over: how retrieval fails when the memory is full of copies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from whet.selection.nearest import Nearest


@dataclass(frozen=True)
class Repeat(Nearest):
    """The candidate with the largest cosine to the query, `n` times: a baseline for measurements.

    Source: Hübotter et al. 2025, arXiv 2410.08020, the failure mode of nearest neighbours (NN-F).
    """

    name: ClassVar[str] = "repeat"

    @property
    def repeats(self) -> None:
        """Any number of picks of one candidate."""
        return None
