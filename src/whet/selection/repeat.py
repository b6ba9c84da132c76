"""The nearest neighbour over and over: how retrieval fails when the memory is full of copies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from whet.selection.base import Choice, FloatArray, Stop
from whet.selection.checks import checked_count, checked_noise, checked_vectors
from whet.selection.nearest import cosines
from whet.selection.picking import follow


@dataclass(frozen=True)
class Repeat:
    """The candidate with the largest cosine to the query, `n` times: a baseline for measurements.

    Source: Hübotter et al. 2025, arXiv 2410.08020, the failure mode of nearest neighbours (NN-F).

    Attributes:
        noise: λ > 0 of the surrogate; takes no part in the choice.
    """

    noise: float = 0.01
    name: ClassVar[str] = "repeat"

    def __post_init__(self) -> None:
        checked_noise(self.noise)

    def choose(self, candidates: FloatArray, query: FloatArray, n: int, *, stop: Stop | None = None) -> Choice:
        """Choose one candidate of `(K, d)` up to `n` times for the query `(d,)` or `(m, d)`; see `Selector.choose`.

        Raises:
            InputError: an argument is empty, not finite, zero, or of the wrong shape, type or range.
        """
        checked_count(n)
        candidates, query = checked_vectors(candidates, query, self.noise)
        nearest = int(cosines(candidates, query).argmax())
        return follow(candidates, query, [nearest] * n, self.noise, stop)
