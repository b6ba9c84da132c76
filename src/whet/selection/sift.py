"""SIFT: the examples that together tell most about the query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from whet.selection.base import Choice, FloatArray, Stop
from whet.selection.checks import checked_count, checked_noise, checked_vectors
from whet.selection.picking import pick
from whet.selection.posterior import Posterior


@dataclass(frozen=True)
class Sift:
    """Greedy choice of the examples that most shrink the query's posterior variance, with replacement.

    x_{n+1} = argmin_x σ²_{x_1…x_n, x}(q), for the Gaussian process of `Posterior`; equal gains go to the lowest index.
    A small λ favours diversity; a large one repeats the most similar candidate. Nothing is random. Among unit vectors
    the first pick is the one with the largest |cosine|.

    An exact copy of the query among the candidates is picked every time: nothing tells more about it, however often it
    has been seen. Leave such copies out beforehand.

    Source: Hübotter et al. 2025, arXiv 2410.08020, SIFT(λ'). With several query rows it is their summed variance, as in
    VTL (Hübotter et al. 2024, arXiv 2402.15898). Cost: O(n K d + n² K) time, O(n K) memory.

    Attributes:
        noise: λ > 0, in units of the kernel (1 for unit vectors).

    >>> import numpy as np
    >>> examples = np.array([[1.0, 0.0], [0.99, 0.1], [0.5, 0.8]])
    >>> choice = Sift(noise=0.01).choose(examples, np.array([0.9, 0.4]), 2)
    >>> choice.indices.tolist(), choice.variances.round(3).tolist()
    ([1, 2], [1.0, 0.107, 0.007])
    """

    noise: float = 0.01
    name: ClassVar[str] = "sift"

    def __post_init__(self) -> None:
        checked_noise(self.noise)

    def choose(self, candidates: FloatArray, query: FloatArray, n: int, *, stop: Stop | None = None) -> Choice:
        """Choose up to `n` candidates `(K, d)` for the query `(d,)` or `(m, d)`; see `Selector.choose`.

        Raises:
            InputError: an argument is empty, not finite, zero, or of the wrong shape, type or range.
        """
        checked_count(n)
        candidates, query = checked_vectors(candidates, query, self.noise)
        posterior = Posterior(candidates, query, self.noise, n)
        return pick(posterior, n, lambda _: int(posterior.gains().argmax()), stop)
