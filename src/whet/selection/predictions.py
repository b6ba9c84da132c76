"""Criteria that judge a candidate by a classifier's prediction for it alone, and the check of predictions."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr

from whet.errors import InputError
from whet.selection.arrays import Array, FloatArray, namespace, to_numpy
from whet.selection.base import Predictions
from whet.selection.criteria import OrderSelector
from whet.selection.nearest import Fixed

TOLERANCE = 1e-3
"""By how much a row of probabilities may miss a sum of 1; half precision is within."""


class _ByPrediction(OrderSelector):
    """A criterion with a score of each prediction; the embeddings, the query among them, play no part."""

    def scorer(
        self,
        candidates: NDArray[Any],
        targets: NDArray[Any],  # noqa: ARG002
        n: int,  # noqa: ARG002
        predictions: Predictions | None,
    ) -> Fixed:
        """The scores.

        Raises:
            InputError: there are no predictions for the candidates, or they are no probabilities.
        """
        return Fixed(self.uncertainty(candidate_probabilities(self.name, predictions, len(candidates))))

    @abstractmethod
    def uncertainty(self, probabilities: FloatArray) -> FloatArray:
        """`(K, classes)` to `(K,)`, not negative."""


@dataclass(frozen=True)
class MinMargin(_ByPrediction):
    """The candidates whose two most probable classes are closest in probability; equal ones by lowest index.

    Needs `Predictions.candidates`. Source: Scheffer, Decomain and Wrobel 2001.

    >>> import numpy as np
    >>> said = Predictions(candidates=np.array([[0.9, 0.1], [0.4, 0.6], [0.7, 0.3]]))
    >>> MinMargin().choose(np.eye(3), np.ones(3), 2, predictions=said).indices.tolist()
    [1, 2]
    """

    name: ClassVar[str] = "min-margin"

    def uncertainty(self, probabilities: FloatArray) -> FloatArray:
        """`(K,)`, 1 less the margin."""
        ranked: FloatArray = np.partition(probabilities, -2, axis=1)
        return 1 - (ranked[:, -1] - ranked[:, -2])


@dataclass(frozen=True)
class MaxEntropy(_ByPrediction):
    """The candidates whose predicted class has the largest entropy; equal ones by lowest index.

    Needs `Predictions.candidates`. Source: Shannon 1948; Settles 2009, section 3.1.
    """

    name: ClassVar[str] = "max-entropy"

    def uncertainty(self, probabilities: FloatArray) -> FloatArray:
        """`(K,)`, in nats."""
        entropy: FloatArray = entr(probabilities).sum(axis=1)
        return entropy


@dataclass(frozen=True)
class LeastConfidence(_ByPrediction):
    """The candidates whose most probable class is least probable; equal ones by lowest index.

    Needs `Predictions.candidates`. Source: Lewis and Gale 1994; Settles 2009, section 3.1.
    """

    name: ClassVar[str] = "least-confidence"

    def uncertainty(self, probabilities: FloatArray) -> FloatArray:
        """`(K,)`, probability of all other classes."""
        rest: FloatArray = 1 - probabilities.max(axis=1)
        return rest


def candidate_probabilities(name: str, predictions: Predictions | None, rows: int) -> FloatArray:
    """`(rows, classes)` in float64, for a criterion of a name.

    Raises:
        InputError: there are none, or they are no probabilities.
    """
    if predictions is None:
        raise InputError(
            f"predictions=None: {name} judges by a classifier; give Predictions(candidates=…), its probabilities."
        )
    return probabilities("predictions.candidates", predictions.candidates, rows)


def probabilities(name: str, values: Array, rows: int) -> FloatArray:
    """`(rows, classes)` in float64, each row divided by its sum.

    Raises:
        InputError: they are of another shape, not finite, negative, or do not sum to 1.
    """
    wide: FloatArray = to_numpy(values).astype(np.float64) if namespace(values) is np else to_numpy(values.double())
    if wide.ndim != 2 or wide.shape[0] != rows or wide.shape[1] < 2:
        raise InputError(
            f"{name} have shape {wide.shape} for {rows} vectors: give a row of probabilities for each, shape "
            f"({rows}, classes), of at least two classes."
        )
    with np.errstate(invalid="ignore"):
        sums: FloatArray = wide.sum(axis=1)
        right = (wide >= 0).all(axis=1) & (abs(sums - 1) <= TOLERANCE)
    if not right.all():
        row = int(np.flatnonzero(~right)[0])
        shown = np.array2string(wide[row], threshold=6, edgeitems=2)
        raise InputError(
            f"row {row} of {name} is {shown} and sums to {sums[row]:.6g}: give probabilities, not negative and of sum "
            "1, such as the softmax of the logits."
        )
    return wide / sums[:, None]
