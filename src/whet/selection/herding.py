"""Kernel herding: picks that together stand for all candidates."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from whet.selection.arrays import FloatArray
from whet.selection.base import Predictions
from whet.selection.criteria import OrderSelector
from whet.selection.kernels import LINEAR, Kernel

BLOCK = 2**22
"""Numbers of the candidates' kernel that are held at once."""


@dataclass(frozen=True)
class Herding(OrderSelector):
    """Picks whose mean in the kernel's feature space follows that of all candidates (small MMD).

    x_{n+1} = argmax_x 1/K Σ_j k(x, x_j) − 1/(n + 1) Σ_{i ≤ n} k(x, x_i), the sums over the candidates and the picks;
    the lowest index wins a tie. Nothing is random, and the query plays no part: the distribution to stand for is that
    of the candidates, as usual for herding, here without replacement. Among vectors of one length each pick is the one
    that makes the squared MMD between picks and candidates smallest. With the linear kernel only the two means are
    compared.

    Source: Chen, Welling and Smola 2010, arXiv 1203.3472. Cost of N picks: O(N K d), and O(K² d) once where the
    kernel is not linear.

    Attributes:
        kernel: k, also of the surrogate.
    """

    kernel: Kernel = field(default=LINEAR, kw_only=True)
    name: ClassVar[str] = "herding"

    def scorer(
        self,
        candidates: NDArray[Any],
        targets: NDArray[Any],  # noqa: ARG002
        n: int,  # noqa: ARG002
        predictions: Predictions | None,  # noqa: ARG002
    ) -> Herd:
        """Compares with the mean of all candidates."""
        return Herd(candidates.astype(np.float64), self.kernel)


class Herd:
    """Scores of kernel herding for candidates `(K, d)`."""

    def __init__(self, candidates: FloatArray, kernel: Kernel) -> None:
        self._candidates, self._kernel = candidates, kernel
        self._similarity = _mean_similarity(candidates, kernel)
        self._to_picks = np.zeros(len(candidates))
        self._picks = 0

    def scores(self) -> FloatArray:
        """`(K,)`."""
        return self._similarity - self._to_picks / (self._picks + 1)

    def take(self, index: int) -> None:
        """One more pick that stands for what is similar to it."""
        self._to_picks += self._kernel(self._candidates[index : index + 1], self._candidates)[0]
        self._picks += 1


def _mean_similarity(rows: FloatArray, kernel: Kernel) -> FloatArray:
    """`(K,)`, mean of every row's kernel with all rows."""
    if kernel == LINEAR:
        similarity: FloatArray = np.vecdot(rows, rows.mean(axis=0))
        return similarity
    step = max(1, BLOCK // len(rows))
    return np.concatenate([kernel(rows[i : i + step], rows).mean(axis=1) for i in range(0, len(rows), step)])
