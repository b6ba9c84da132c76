"""Facility location: examples that stand for the relevant candidates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from whet.selection.arrays import unit_rows
from whet.selection.base import Predictions
from whet.selection.criteria import OrderSelector
from whet.selection.nearest import cosines

ROUNDING = 1e-12
"""Gains of at most this share of what perfect representation is worth are rounding, and count as nothing."""


@dataclass(frozen=True)
class FacilityLocation(OrderSelector):
    """Greedy choice of examples such that every relevant candidate has a similar one among them.

    It maximises f(X) = Σ_t w_t max_{x ∈ X} sim(t, x) over all candidates t. The similarity is (1 + cosine) / 2, which
    is never negative and ranks sets as the cosine does; the weight w_t = max(0, cosine to the query) is relevance, and
    with several query rows the mean of the cosines is meant. f is monotone and submodular, so the greedy set is worth
    at least 1 − 1/e of the best one of its size. Equal gains go to the lowest index, among them gains of nothing, where
    all that is relevant is chosen already or nothing is relevant. All arithmetic is done in float64.

    Source: Nemhauser et al. 1978, the bound; Mirzasoleiman et al. 2020, arXiv 1906.01827 (CRAIG), for training data.
    Cost of N picks: O(K² d + N K²) time at most, O(K²) memory.
    """

    name: ClassVar[str] = "facility"

    def scorer(
        self,
        candidates: NDArray[Any],
        targets: NDArray[Any],
        n: int,  # noqa: ARG002
        predictions: Predictions | None,  # noqa: ARG002
    ) -> _Cover:
        """Gains in f."""
        rows = candidates.astype(np.float64)
        weights = np.maximum(cosines(rows, targets.astype(np.float64)), 0)
        unit = unit_rows(rows)
        return _Cover((1 + unit @ unit.T) / 2, weights)


class _Cover:
    """How well each candidate is represented by what has been taken, and what each one would add to that.

    Args:
        similarity: `(K, K)`.
        weights: `(K,)`, at least 0.
    """

    def __init__(self, similarity: NDArray[np.float64], weights: NDArray[np.float64]) -> None:
        relevant = weights > 0  # the others add nothing to any sum
        self._similarity, self._weights = similarity[relevant], weights[relevant]
        self._best = np.zeros(len(self._weights))
        self._gains: NDArray[np.float64] = self._weights @ self._similarity
        self._rounding = ROUNDING * self._weights.sum()

    def scores(self) -> NDArray[np.float64]:
        """`(K,)`, by how much each candidate would raise f."""
        return np.where(self._gains > self._rounding, self._gains, 0)

    def take(self, index: int) -> None:
        """Gains change by those only that this one represents better than all before it."""
        now = self._similarity[:, index]
        better = np.flatnonzero(now > self._best)
        now, before = now[better, None], self._best[better, None]
        self._gains -= self._weights[better] @ (np.minimum(self._similarity[better], now) - before).clip(min=0)
        self._best[better] = now[:, 0]
