"""Determinantal point process: examples that are relevant, and span much volume together."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from whet.errors import InputError
from whet.selection.arrays import unit_rows
from whet.selection.base import Predictions
from whet.selection.criteria import OrderSelector
from whet.selection.nearest import cosines

SPANNED = 1e-12
"""A candidate with no more volume than this beside the picks is taken to lie in their span."""


@dataclass(frozen=True)
class Dpp(OrderSelector):
    """Greedy search for the most probable set of a determinantal point process whose kernel knows the query.

    x_{n+1} = argmax_x log det L(X_n ∪ {x}) − log det L(X_n) = 2 θ r_x + log v_n(x), with L(x, x') = q_x S(x, x') q_x',
    quality q_x = exp(θ r_x), relevance r_x = (1 + cosine to the query) / 2, similarity S = (1 + cosine) / 2, and v_n(x)
    the part of S(x, x) = 1 that the picks leave unexplained. With several query rows the mean of the cosines counts.
    The lowest index wins a tie.

    S has a rank of at most d + 1, and a set of more picks has determinant 0 whatever is in it. A v below 1e-12 counts
    as 1e-12: what lies in the span of the picks is compared by relevance alone, and comes after what does not unless
    it is far more relevant. All arithmetic is done in float64.

    Source: Chen et al. 2018, arXiv 1709.05135, the algorithm; Ye et al. 2023, arXiv 2302.05698 (CEIL), the kernel,
    with their λ = 1 / (2 θ) = 0.1. Cost of N picks: O(N K d + N² K) time, O(N K + K d) memory.

    Attributes:
        theta: θ ≥ 0, how much relevance counts; 0 goes for diversity alone.
    """

    theta: float = 5.0
    name: ClassVar[str] = "dpp"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (math.isfinite(self.theta) and self.theta >= 0):
            raise InputError(f"theta={self.theta}: give a number of at least 0; the usual one is 5.")

    def scorer(
        self,
        candidates: NDArray[Any],
        targets: NDArray[Any],
        n: int,
        predictions: Predictions | None,  # noqa: ARG002
    ) -> _Volume:
        """Gains in log determinant."""
        rows = candidates.astype(np.float64)
        relevance = (1 + cosines(rows, targets.astype(np.float64))) / 2
        return _Volume(unit_rows(rows), 2 * self.theta * relevance, n)


class _Volume:
    """A partial Cholesky factor of S, and what it leaves of the diagonal.

    Args:
        unit: `(K, d)` float64, of length 1.
        relevance: `(K,)`, logarithm of q².
        n: the most picks.
    """

    def __init__(self, unit: NDArray[np.float64], relevance: NDArray[np.float64], n: int) -> None:
        self._unit, self._relevance = unit, relevance
        self._factor = np.empty((n, len(unit)))
        self._count = 0
        self._volume = np.ones(len(unit))

    def scores(self) -> NDArray[np.float64]:
        """`(K,)`, by how much each candidate would raise log det L."""
        return self._relevance + np.log(np.maximum(self._volume, SPANNED))

    def take(self, index: int) -> None:
        """Take from every candidate what this one explains of it; in the span of the picks, that is nothing more."""
        if self._volume[index] <= SPANNED:
            return
        similarity = (1 + self._unit @ self._unit[index]) / 2
        seen = self._factor[: self._count]
        row = self._factor[self._count]
        np.divide(similarity - seen[:, index] @ seen, math.sqrt(self._volume[index]), out=row)
        self._volume -= row * row
        self._count += 1
