"""Criteria of information and correlation: ITL, ITL without noise on the targets, MM-ITL and CTL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from whet.selection.arrays import Array, namespace
from whet.selection.criteria import PosteriorSelector
from whet.selection.posterior import Posterior
from whet.selection.surrogate import KNOWN


@dataclass(frozen=True)
class Itl(PosteriorSelector):
    """Information-based transductive learning: what tells most about noisy observations of all targets together.

    x_{n+1} = argmax_x I(y_A; y_x | D_n) = ½ log((k_n(x, x) + λ_x) / (k̃_n(x, x) + λ_x)), in nats, where
    k̃_n(x, x) = k_n(x, x) − k_n(x, A) (K_n(A, A) + λ I)⁻¹ k_n(A, x), A are the rows of the query, λ is the selector's
    noise and λ_x the candidate's; the lowest index wins a tie. It minimises the determinant of the targets' posterior
    covariance, where `Vtl` minimises the trace; for a single target both order the candidates alike.

    Source: Hübotter et al. 2024, arXiv 2402.15898. Cost: that of `Posterior`, and O(m² K + m³) a pick.
    """

    name: ClassVar[str] = "itl"

    def score(self, posterior: Posterior) -> Array:
        """`(B, K)`, nats that each candidate would tell about the targets' observations."""
        variances, along = _principal(posterior)
        explained = along * along / (variances.clip(min=0) + self.noise)[:, :, None]
        return _nats(explained.sum(axis=1), posterior.variance(), posterior.noisy)


@dataclass(frozen=True)
class NoiselessItl(PosteriorSelector):
    """What tells most about the function itself at all targets together: `Itl` without noise on the targets.

    x_{n+1} = argmax_x I(f_A; y_x | D_n), which is `Itl` with the pseudo-inverse of K_n(A, A) in place of
    (K_n(A, A) + λ I)⁻¹. Nothing is added to the diagonal: directions among the targets in which at most 100 ε of the
    largest prior variance of a target is left count as known, and candidates tell nothing of them. ε is the rounding of
    the dtype, so that is 1.2e-5 in float32 and 2.2e-14 in float64. Targets may thus repeat or determine one another.
    When all directions are known every score is 0, and the lowest index is taken.

    Source: Hübotter et al. 2024, arXiv 2402.15898. Cost: as `Itl`.
    """

    name: ClassVar[str] = "itl-noiseless"

    def score(self, posterior: Posterior) -> Array:
        """`(B, K)`, nats that each candidate would tell about the targets."""
        variances, along = _principal(posterior)
        prior = namespace(variances).amax(posterior.kernel.diagonal(posterior.targets), 1)[:, None]
        explained = along * along * _inverse(variances, prior)[:, :, None]
        return _nats(explained.sum(axis=1), posterior.variance(), posterior.noisy)


@dataclass(frozen=True)
class MmItl(PosteriorSelector):
    """Mean-marginal ITL: what tells most about the targets one by one, on average.

    x_{n+1} = argmax_x 1/m Σ_a I(f_a; y_x | D_n), with I(f_a; y_x) = −½ log(1 − k(a, x)² / (k(a, a) (k(x, x) + λ))).
    What is observed is noisy, so λ stands beside k_n(x, x): a candidate that has been seen often cannot tell much more,
    however strongly its f is correlated with a target's. A target of which at most 100 ε of its prior variance is left,
    with ε the rounding of the dtype, counts as known and adds nothing. The lowest index wins a tie.

    Source: Hübotter et al. 2024, arXiv 2402.15898. Cost: that of `Posterior`, and O(m K) a pick.
    """

    name: ClassVar[str] = "mm-itl"

    def score(self, posterior: Posterior) -> Array:
        """`(B, K)`, nats that each candidate would tell about a target, on average."""
        explained = posterior.covariance * posterior.covariance * _target_precisions(posterior)[:, :, None]
        return _nats(explained, posterior.variance()[:, None], posterior.noisy[:, None]).mean(axis=1)


@dataclass(frozen=True)
class Ctl(PosteriorSelector):
    """Correlation-based transductive learning: what is most correlated with the targets, on average.

    x_{n+1} = argmax_x 1/m Σ_a Cor(f_x, f_a | D_n), with its sign: a candidate that points away from the targets comes
    last, though it would tell as much about them. Before anything is seen, and for unit vectors, that is the mean
    cosine of `Nearest`. A candidate or target of which at most 100 ε of its prior variance is left, with ε the rounding
    of the dtype, counts as known; its correlations are 0. The lowest index wins a tie.

    Source: Hübotter et al. 2024, arXiv 2402.15898. Cost: that of `Posterior`, and O(m K + K d) a pick.
    """

    name: ClassVar[str] = "ctl"

    def score(self, posterior: Posterior) -> Array:
        """`(B, K)`, mean posterior correlation of each candidate with the targets."""
        xp = namespace(posterior.covariance)
        candidates = _inverse(posterior.variance(), posterior.kernel.diagonal(posterior.candidates))
        precisions = candidates[:, None] * _target_precisions(posterior)[:, :, None]
        return (posterior.covariance * xp.sqrt(precisions)).clip(-1, 1).mean(axis=1)


def _principal(posterior: Posterior) -> tuple[Array, Array]:
    """Variances `(B, m)` of the targets along their principal directions, and covariances `(B, m, K)` with them."""
    variances, directions = namespace(posterior.covariance).linalg.eigh(posterior.target_covariance())
    return variances, directions.mT @ posterior.covariance


def _target_precisions(posterior: Posterior) -> Array:
    """`(B, m)`, 1 / k(a, a) of each target, 0 for one that is known."""
    variances = namespace(posterior.covariance).einsum("bii->bi", posterior.target_covariance())
    return _inverse(variances, posterior.kernel.diagonal(posterior.targets))


def _inverse(variances: Array, prior: Array) -> Array:
    """1 / variance, and 0 for variances that are zero to the rounding of the prior ones."""
    xp = namespace(variances)
    known = variances <= KNOWN * xp.finfo(variances.dtype).eps * prior
    return xp.where(known, 0, 1 / xp.where(known, 1, variances))


def _nats(explained: Array, variance: Array, noisy: Array) -> Array:
    """½ log of how many times smaller an observation's variance is for what is explained of it.

    No more than the function's variance can be explained of it; rounding may say otherwise.
    """
    xp = namespace(explained)
    return -xp.log1p(-xp.minimum(explained, variance) / noisy) / 2
