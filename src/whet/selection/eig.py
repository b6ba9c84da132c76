"""Expected information gain: how much surer of the query a classifier would be after one step on a candidate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr

from whet.errors import InputError
from whet.selection.arrays import FloatArray
from whet.selection.base import Predictions
from whet.selection.criteria import OrderSelector
from whet.selection.nearest import Fixed
from whet.selection.predictions import candidate_probabilities, probabilities

BLOCK = 2**18
"""Numbers in each array that is held at once, so that they fit the processor's cache."""

LARGEST_SHIFT = 700.0
"""A logit moved by more is as sure as it can be; its exponential would overflow."""


@dataclass(frozen=True)
class Eig(OrderSelector):
    """By how much a gradient step on a candidate is expected to lower the entropy of the query's predictions.

    The candidate's label c is imagined, drawn from its prediction p_x, and the weights of the last layer take one step
    of gradient descent on its cross-entropy. That moves the logits of query row a by rate · ⟨φ(x), φ(a)⟩ (e_c − p_x).
    The score is Σ_a H(p_a) − E_c Σ_a H(p_a after the step), in nats; equal ones go to the lowest index. It grows with
    the square of the rate, since a step is zero on average over c. Nothing is random.

    Needs `Predictions.candidates` and `Predictions.targets`; candidates and query are the inputs φ of the last layer.

    Source: Mehta et al. 2022, arXiv 2208.00974, with one gradient step as the update. Cost with C classes and m query
    rows: O(K m (d + C)); the entropy for each label follows from that of a common part.

    Attributes:
        rate: of the gradient step, positive.
    """

    rate: float = 0.01
    name: ClassVar[str] = "eig"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (math.isfinite(self.rate) and self.rate > 0):
            raise InputError(f"rate={self.rate}: give a positive learning rate, such as 0.01.")

    def scorer(
        self,
        candidates: NDArray[Any],
        targets: NDArray[Any],
        n: int,  # noqa: ARG002
        predictions: Predictions | None,
    ) -> Fixed:
        """The expected gains.

        Raises:
            InputError: there are no predictions for the candidates or for the query, they are no probabilities, or of
                unequally many classes.
        """
        labels = candidate_probabilities(self.name, predictions, len(candidates))
        prior = _target_probabilities(predictions, len(targets), labels.shape[1])
        wide = targets.astype(np.float64)
        logits = np.log(np.maximum(prior, np.finfo(np.float64).tiny))
        step = max(1, BLOCK // prior.size)
        after = [
            _expected_entropy(
                logits, labels[i : i + step], self.rate * np.vecdot(candidates[i : i + step, None].astype(float), wide)
            )
            for i in range(0, len(candidates), step)
        ]
        return Fixed(entr(prior).sum() - np.concatenate(after))


def _target_probabilities(predictions: Predictions | None, rows: int, classes: int) -> FloatArray:
    if predictions is None or predictions.targets is None:
        raise InputError(
            "predictions.targets=None: eig judges by what a classifier says of the query; give "
            "Predictions(candidates=…, targets=…), its probabilities for both."
        )
    prior = probabilities("predictions.targets", predictions.targets, rows)
    if prior.shape[1] != classes:
        raise InputError(
            f"predictions.targets have {prior.shape[1]} classes but predictions.candidates have {classes}: give "
            "predictions of one classifier."
        )
    return prior


def _expected_entropy(logits: FloatArray, labels: FloatArray, reach: FloatArray) -> FloatArray:
    """`(b,)`, the targets' summed entropy after a step, in expectation over the label.

    Args:
        logits: `(m, C)`, of the targets.
        labels: `(b, C)`, probabilities of the candidates' labels.
        reach: `(b, m)`, rate · ⟨φ(x), φ(a)⟩.
    """
    moved = logits - reach[:, :, None] * labels[:, None]  # (b, m, C), what all labels have in common
    best = moved.argmax(axis=2)[:, :, None]
    moved -= np.take_along_axis(moved, best, axis=2)
    others = np.exp(moved)
    np.put_along_axis(others, best, 0.0, axis=2)
    # 1 - p and -log p to full accuracy even where p is nearly 1: the sum leaves the largest out
    surprise = np.log1p(others.sum(axis=2, keepdims=True)) - moved
    p, rest = np.exp(-surprise), -np.expm1(-surprise)
    own = p * surprise
    within = own.sum(axis=2, keepdims=True) - own - entr(rest)  # entropy among the other classes, times `rest`
    raised = p * np.exp(reach.clip(-LARGEST_SHIFT, LARGEST_SHIFT))[:, :, None]  # the label's own logit moves by reach
    total = rest + raised
    entropy = entr(raised / total) + entr(rest / total) + within / total
    expected: FloatArray = np.einsum("bmc,bc->b", entropy, labels)
    return expected
