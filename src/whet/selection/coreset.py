"""Core-set: picks that leave no candidate far from all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from whet.selection.arrays import FloatArray, unit_rows
from whet.selection.base import Predictions
from whet.selection.criteria import OrderSelector


@dataclass(frozen=True)
class CoreSet(OrderSelector):
    """The candidate that is farthest from the picks so far, by its distance to the nearest of them.

    x_{n+1} = argmax_x min_i ‖x − x_i‖; the lowest index wins a tie. Nothing is random. The first pick is the one with
    the largest mean cosine to the query, and the only one that the query has a say in. The largest distance that n
    picks leave is at most twice the smallest that any n candidates could leave, unless constraints hinder.

    Source: Sener and Savarese 2018, arXiv 1708.00489, algorithm 1; the bound: Gonzalez 1985. Cost of N picks: O(N K d).
    """

    name: ClassVar[str] = "core-set"

    def scorer(
        self,
        candidates: NDArray[Any],
        targets: NDArray[Any],
        n: int,  # noqa: ARG002
        predictions: Predictions | None,  # noqa: ARG002
    ) -> FarthestFirst:
        """Distances to the nearest pick."""
        cosines = np.vecdot(unit_rows(candidates), unit_rows(targets).mean(axis=0))
        return FarthestFirst(cosines, DistanceToPicks(candidates.astype(np.float64)))


class DistanceToPicks:
    """How far every candidate is from the nearest pick; duplicates of a pick are at a distance of exactly zero.

    Args:
        factors: `(K, d_i)` float64. Each candidate is the tensor product of its rows in them, which is never formed: an
            inner product of two candidates is the product of those of their rows.
    """

    def __init__(self, *factors: FloatArray) -> None:
        self._factors = factors
        self.lengths: FloatArray = np.prod([np.vecdot(f, f) for f in factors], axis=0)
        """`(K,)`, squared lengths."""
        self.squared: FloatArray = np.full(len(self.lengths), np.inf)
        """`(K,)`, squared distances."""

    def take(self, index: int) -> None:
        """One more pick to be near to."""
        inner = np.prod([np.vecdot(f, f[index]) for f in self._factors], axis=0)
        apart = self.lengths + self.lengths[index] - 2 * inner
        self.squared = np.minimum(self.squared, apart.clip(min=0))  # rounding may take it below


class FarthestFirst:
    """Distances to the nearest pick.

    Args:
        first: `(K,)`, scores before any pick.
        distance: of the candidates.
    """

    def __init__(self, first: FloatArray, distance: DistanceToPicks) -> None:
        self._scores, self._distance = first, distance

    def scores(self) -> FloatArray:
        """`(K,)`."""
        return self._scores

    def take(self, index: int) -> None:
        """One more pick to be far from."""
        self._distance.take(index)
        self._scores = np.sqrt(self._distance.squared)
