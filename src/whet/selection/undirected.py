"""Criteria that do not look at the query: undirected ITL, undirected VTL (BAIT) and uncertainty sampling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from whet.selection.arrays import Array, namespace
from whet.selection.criteria import PosteriorSelector
from whet.selection.posterior import Posterior


@dataclass(frozen=True)
class UndirectedItl(PosteriorSelector):
    """What tells most about the whole function: greedy maximisation of log det(I + Λ⁻¹ K(X, X)) over the picks X.

    x_{n+1} = argmax_x I(f; y_x | D_n) = ½ log(1 + k_n(x, x) / λ_x), in nats: with one noise for all, the most uncertain
    candidate. Scores that differ from the best by rounding only (5 decimals of it in float32, 12 in float64) are the
    same, and the lowest index wins: of unit vectors the first.

    Source: Hübotter et al. 2024, arXiv 2402.15898; Holzmüller et al. 2023, arXiv 2203.09410.
    """

    name: ClassVar[str] = "undirected-itl"

    def score(self, posterior: Posterior) -> Array:
        """`(B, K)`, nats that each candidate would tell, as a share of the most that one would."""
        return _shares(namespace(posterior.noise).log1p(posterior.variance() / posterior.noise))


@dataclass(frozen=True)
class UndirectedVtl(PosteriorSelector):
    """What most lowers the posterior variance summed over all candidates; greedy A-optimal design, known as BAIT.

    x_{n+1} = argmax_x Σ_{x'} k_n(x', x)² / (k_n(x, x) + λ), over all candidates x'; the lowest index wins a tie. It is
    `Vtl` with the candidates as targets.

    Source: Ash et al. 2021, arXiv 2106.09675; Hübotter et al. 2024, arXiv 2402.15898.
    Cost: O(n K²) time for the n-th pick, and O(K² d) more where K is above 4 n; O(K²) memory.
    """

    name: ClassVar[str] = "undirected-vtl"

    def score(self, posterior: Posterior) -> Array:
        """`(B, K)`, by how much each candidate would lower the candidates' summed variance."""
        covariance = posterior.candidate_covariance()
        return (covariance * covariance).sum(axis=1) / posterior.noisy


@dataclass(frozen=True)
class UncertaintySampling(PosteriorSelector):
    """The candidates of the largest prior variance k(x, x), whatever has been seen: a baseline.

    With the linear kernel these are the longest vectors. Variances that differ by rounding only (5 decimals of the
    largest in float32, 12 in float64) are the same, and the lowest index wins: unit vectors are all the same, and are
    taken in the order in which they are given.

    Source: Lewis and Gale 1994, arXiv cmp-lg/9407020, for regression.
    """

    name: ClassVar[str] = "uncertainty"

    def score(self, posterior: Posterior) -> Array:
        """`(B, K)`, prior variance of each candidate, as a share of the largest."""
        return _shares(posterior.kernel.diagonal(posterior.candidates))


def _shares(values: Array) -> Array:
    """Values `(B, K)`, at least 0, as shares of the largest one, without the digits that are rounding."""
    xp = namespace(values)
    largest = xp.amax(values, 1)[:, None]
    shares = values / xp.where(largest > 0, largest, 1)
    return xp.round(shares, decimals=5 if values.dtype == xp.float32 else 12)
