"""SIFT and VTL: the examples that together tell most about the query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import ClassVar

import numpy as np

from whet.selection.arrays import Array
from whet.selection.base import Choice, Stop
from whet.selection.criteria import PosteriorSelector
from whet.selection.greedy import choice_of
from whet.selection.kernels import LINEAR
from whet.selection.posterior import Posterior
from whet.selection.problems import Problem
from whet.selection.twins import first_equals


@dataclass(frozen=True)
class Vtl(PosteriorSelector):
    """Variance-based transductive learning: what most lowers the summed posterior variance of the targets.

    x_{n+1} = argmax_x Σ_a k_n(a, x)² / (k_n(x, x) + λ), over the rows a of the query; the lowest index wins a tie.

    Where numba is installed, a compiled loop does the same for NumPy arrays, equal to rounding.

    Source: Hübotter et al. 2024, arXiv 2402.15898.
    """

    name: ClassVar[str] = "vtl"

    def score(self, posterior: Posterior) -> Array:
        """`(B, K)`, by how much each candidate would lower the targets' summed variance."""
        return posterior.reduction()

    def solve(self, problems: Sequence[Problem], n: int, stop: Stop | None) -> list[Choice]:
        """For problems of one shape; compiled where that can be."""
        if not compilable() or self.kernel != LINEAR:
            return super().solve(problems, n, stop)
        slow = [p for p in problems if not p.plain]
        slowly = iter(super().solve(slow, n, stop) if slow else ())
        return [self._compiled(p, n, stop) if p.plain else next(slowly) for p in problems]

    def _compiled(self, problem: Problem, n: int, stop: Stop | None) -> Choice:
        from whet.selection.compiled import greedy_variance

        rows, targets = problem.candidates, problem.targets
        noise = problem.noises(self.noise).astype(rows.dtype)
        left = problem.left(None if self.replace else 1)
        first = first_equals(rows)
        picks, effects = greedy_variance(
            rows, targets, problem.squared, noise, left, np.arange(len(rows)) if first is None else first, n
        )
        prior = float(np.square(targets, dtype=np.float64).sum())
        gains = np.square(effects, dtype=np.float64).sum(axis=1) / prior
        return choice_of(picks, gains, stop, exhausted=len(picks) < n)


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


@cache
def compilable() -> bool:
    """Whether numba is installed."""
    return find_spec("numba") is not None
