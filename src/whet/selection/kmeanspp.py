"""k-means++ seeding, a random spread over the candidates, and BADGE, the same over a classifier's gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from whet.selection.arrays import FloatArray
from whet.selection.base import Predictions
from whet.selection.coreset import DistanceToPicks
from whet.selection.criteria import OrderSelector
from whet.selection.predictions import candidate_probabilities
from whet.selection.random import checked_seed, generator


@dataclass(frozen=True)
class KMeansPlusPlus(OrderSelector):
    """A draw with probability in proportion to the squared distance to the nearest pick so far.

    P(x_{n+1} = x) ∝ min_i ‖x − x_i‖², among the candidates that may be picked; the first is drawn uniformly. Once all
    that are left are copies of picks, the lowest index comes next. The query's only part is in the generator, which is
    made from the seed and the query's numbers as in `Random`.

    Source: Arthur and Vassilvitskii 2007. Cost of N picks: O(N K d).

    Attributes:
        seed: of the draw, a whole number ≥ 0.
    """

    seed: int = 0
    name: ClassVar[str] = "kmeans++"

    def __post_init__(self) -> None:
        super().__post_init__()
        checked_seed(self.seed)

    def scorer(
        self,
        candidates: NDArray[Any],
        targets: NDArray[Any],
        n: int,  # noqa: ARG002
        predictions: Predictions | None,  # noqa: ARG002
    ) -> DistanceDraw:
        """Draws by the squared distance of the candidates."""
        rng = generator(self.seed, targets)
        uniform = race(np.ones(len(candidates)), rng)
        return DistanceDraw(uniform, DistanceToPicks(candidates.astype(np.float64)), rng)


@dataclass(frozen=True)
class Badge(KMeansPlusPlus):
    """k-means++ over the gradients that a classifier's last layer would get from its own answers.

    For the label ŷ that it finds most probable (the lowest of equal ones) the gradient of the cross-entropy with
    respect to the last layer's weights is (p − e_ŷ) ⊗ φ(x): long where the classifier is unsure. The first pick is the
    longest gradient; the rest is as in `KMeansPlusPlus`. Needs `Predictions.candidates`; the candidates are the inputs
    φ of the last layer.

    Source: Ash et al. 2020, arXiv 1906.03671, eq. 1 and algorithm 1; the first pick as in the authors' code. Cost of N
    picks with C classes: O(N K (d + C)); the gradients, C d numbers each, are not formed.
    """

    name: ClassVar[str] = "badge"

    def scorer(
        self,
        candidates: NDArray[Any],
        targets: NDArray[Any],
        n: int,  # noqa: ARG002
        predictions: Predictions | None,
    ) -> DistanceDraw:
        """Draws by the squared distance of the gradients.

        Raises:
            InputError: there are no predictions for the candidates, or they are no probabilities.
        """
        errors = candidate_probabilities(self.name, predictions, len(candidates)).copy()
        errors[np.arange(len(errors)), errors.argmax(axis=1)] -= 1
        gradients = DistanceToPicks(errors, candidates.astype(np.float64))
        return DistanceDraw(gradients.lengths, gradients, generator(self.seed, targets))


class DistanceDraw:
    """Scores whose largest is a draw by squared distance to the nearest pick.

    Args:
        first: `(K,)`, scores before any pick.
        distance: of the candidates.
        rng: one draw of it for each pick and candidate.
    """

    def __init__(self, first: FloatArray, distance: DistanceToPicks, rng: np.random.Generator) -> None:
        self._scores, self._distance, self._rng = first, distance, rng

    def scores(self) -> FloatArray:
        """`(K,)`."""
        return self._scores

    def take(self, index: int) -> None:
        """One more pick to be far from."""
        self._distance.take(index)
        self._scores = race(self._distance.squared, self._rng)


def race(weights: FloatArray, rng: np.random.Generator) -> FloatArray:
    """`(K,)` scores; among any of the candidates, each has the largest with probability in proportion to its weight.

    For exponential variables E_i, the smallest E_i / w_i is that of i with probability w_i / Σ w.
    """
    times = rng.standard_exponential(len(weights))
    return weights / np.maximum(times, np.finfo(np.float64).tiny)
