"""SIFT and VTL: the examples that together tell most about the query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from whet.selection.arrays import Array
from whet.selection.criteria import PosteriorSelector
from whet.selection.posterior import Posterior


@dataclass(frozen=True)
class Vtl(PosteriorSelector):
    """Variance-based transductive learning: what most lowers the summed posterior variance of the targets.

    x_{n+1} = argmax_x Σ_a k_n(a, x)² / (k_n(x, x) + λ), over the rows a of the query; the lowest index wins a tie.

    Source: Hübotter et al. 2024, arXiv 2402.15898.
    """

    name: ClassVar[str] = "vtl"

    def score(self, posterior: Posterior) -> Array:
        """`(B, K)`, by how much each candidate would lower the targets' summed variance."""
        return posterior.reduction()


@dataclass(frozen=True)
class Sift(Vtl):
    """Greedy choice of the examples that most shrink the query's posterior variance, with replacement unless told.

    x_{n+1} = argmin_x σ²_{x_1…x_n, x}(q), for the Gaussian process of `Posterior`; equal gains go to the lowest index.
    A small λ favours diversity; a large one repeats the most similar candidate. Nothing is random. Among unit vectors
    the first pick is the one with the largest |cosine|. With several query rows it is `Vtl`.

    An exact copy of the query among the candidates is picked every time: nothing tells more about it, however often it
    has been seen. `Constraints(near_copy=…)` leaves such copies out.

    Source: Hübotter et al. 2025, arXiv 2410.08020, SIFT(λ'). Cost: see `Posterior`.

    >>> import numpy as np
    >>> examples = np.array([[1.0, 0.0], [0.99, 0.1], [0.5, 0.8]])
    >>> choice = Sift(noise=0.01).choose(examples, np.array([0.9, 0.4]), 2)
    >>> choice.indices.tolist(), choice.variances.round(3).tolist()
    ([1, 2], [1.0, 0.107, 0.007])
    """

    replace: bool = True
    name: ClassVar[str] = "sift"
