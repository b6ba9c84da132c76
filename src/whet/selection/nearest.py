"""Nearest neighbours: the examples most similar to the query, however similar they are to each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from whet.selection.arrays import FloatArray
from whet.selection.base import Predictions
from whet.selection.criteria import OrderSelector


@dataclass(frozen=True)
class Nearest(OrderSelector):
    """The candidates with the largest cosine to the query, without replacement; equal ones by lowest index.

    With several query rows, the mean of the cosines to them.
    """

    name: ClassVar[str] = "nearest"

    def scorer(
        self,
        candidates: NDArray[Any],
        targets: NDArray[Any],
        n: int,  # noqa: ARG002
        predictions: Predictions | None,  # noqa: ARG002
    ) -> Fixed:
        """The cosines."""
        return Fixed(cosines(candidates, targets))


@dataclass(frozen=True)
class Fixed:
    """Scores `(K,)` that do not depend on what has been taken."""

    values: FloatArray

    def scores(self) -> FloatArray:
        """`(K,)`."""
        return self.values

    def take(self, index: int) -> None:
        """Changes nothing."""


def cosines(candidates: FloatArray, targets: FloatArray) -> FloatArray:
    """`(K,)`, mean over the targets `(m, d)` of their cosines to the candidates `(K, d)`; no row is zero."""
    towards = (targets / np.linalg.norm(targets, axis=1, keepdims=True)).mean(axis=0)
    # row by row: a matrix product rounds equal rows differently, by their place, and would break ties by it
    similarity: FloatArray = np.vecdot(candidates, towards) / np.linalg.norm(candidates, axis=1)
    return similarity
