"""Maximal marginal relevance: near the query, and unlike what has been taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from whet.errors import InputError
from whet.selection.arrays import FloatArray, unit_rows
from whet.selection.base import Predictions
from whet.selection.criteria import OrderSelector


@dataclass(frozen=True)
class Mmr(OrderSelector):
    """Relevance to the query, less the similarity to the most similar pick so far; both are cosines.

    x_{n+1} = argmax_x w cos(x, q) − (1 − w) max_i cos(x, x_i); with several query rows, the mean of the cosines to
    them. The first pick is the nearest, whatever w; the lowest index wins a tie. Nothing is random.

    Source: Carbonell and Goldstein 1998. Cost of N picks: O(N K d).

    >>> import numpy as np
    >>> examples = np.array([[1.0, 0.1], [1.0, 0.11], [0.8, -0.6]])
    >>> Mmr().choose(examples, np.array([1.0, 0.0]), 2).indices.tolist()
    [0, 2]

    Attributes:
        relevance: w, from 0 (unlike the picks only) to 1 (the nearest neighbours).
    """

    relevance: float = 0.5
    name: ClassVar[str] = "mmr"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.relevance <= 1:
            raise InputError(f"relevance={self.relevance}: give a weight between 0 and 1, such as 0.5.")

    def scorer(
        self,
        candidates: NDArray[Any],
        targets: NDArray[Any],
        n: int,  # noqa: ARG002
        predictions: Predictions | None,  # noqa: ARG002
    ) -> MarginalRelevance:
        """Weighs the cosines to the query against those to the picks."""
        return MarginalRelevance(unit_rows(candidates), unit_rows(targets).mean(axis=0), self.relevance)


class MarginalRelevance:
    """Scores of maximal marginal relevance.

    Args:
        candidates: `(K, d)`, unit vectors.
        query: `(d,)`, mean of the query's unit vectors.
        weight: of the relevance.
    """

    def __init__(self, candidates: FloatArray, query: FloatArray, weight: float) -> None:
        self._candidates, self._weight = candidates, weight
        self._relevance: FloatArray = np.vecdot(candidates, query)
        self._redundancy: FloatArray = np.full(len(candidates), -np.inf)
        self._scores: FloatArray = self._relevance

    def scores(self) -> FloatArray:
        """`(K,)`."""
        return self._scores

    def take(self, index: int) -> None:
        """One more pick to be unlike."""
        self._redundancy = np.maximum(self._redundancy, np.vecdot(self._candidates, self._candidates[index]))
        self._scores = self._weight * self._relevance - (1 - self._weight) * self._redundancy
