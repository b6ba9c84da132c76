"""The posterior variance of a linear surrogate, kept up to date observation by observation."""

from __future__ import annotations

import math

import numpy as np

from whet.selection.base import FloatArray


class Posterior:
    """How uncertain a Gaussian process with a linear kernel is at the query, after noisy observations of candidates.

    With kernel k(x, x') = x·x' and noise λ, observing x turns k into
    k'(u, v) = k(u, v) − k(u, x) k(x, v) / (k(x, x) + λ). Kept are k between query and candidates, k(x, x) of every
    candidate, and one row L_i = k(x_i, ·) / √(k(x_i, x_i) + λ) for each observation: a partial Cholesky factor.

    Source: Hübotter et al. 2025, arXiv 2410.08020; Rasmussen and Williams 2006, eq. 2.26.
    Cost of N observations: O(N K d + N² K) time, O(N K) memory.

    Args:
        candidates: `(K, d)`, checked.
        query: `(m, d)`, checked, of the same dtype; all arithmetic is done in it.
        noise: λ > 0, in units of the kernel.
        observations: the most that will be made.
    """

    def __init__(self, candidates: FloatArray, query: FloatArray, noise: float, observations: int) -> None:
        self.noise = float(noise)
        self.prior = float(np.square(query, dtype=np.float64).sum())
        self._candidates = candidates
        self._covariance: FloatArray = query @ candidates.T  # (m, K)
        self._variance: FloatArray = np.einsum("ij,ij->i", candidates, candidates)  # (K,)
        self._factor: FloatArray = np.empty((observations, len(candidates)), candidates.dtype)  # (N, K)
        self._count = 0
        self._latest: dict[int, tuple[int, float]] = {}  # candidate → its last observation and √(k(x, x) + λ) then

    def gains(self) -> FloatArray:
        """`(K,)`, by how much observing each candidate would lower the query's variance: Σ_a k(a, x)² / (k(x, x) + λ).

        The sum is over the rows of the query. Comparing these, and not the variances that would be left, keeps small
        gains apart in float32.
        """
        gains: FloatArray = np.square(self._covariance).sum(axis=0) / (self._variance + self.noise)
        return gains

    def gain(self, index: int) -> float:
        """The same for one candidate."""
        covariance = self._covariance[:, index]
        return float(covariance @ covariance) / (float(self._variance[index]) + self.noise)

    def observe(self, index: int) -> None:
        """Condition on a noisy observation of a candidate, which may have been observed before."""
        scale = math.sqrt(float(self._variance[index]) + self.noise)
        row = self._factor[self._count]
        np.divide(self._kernel_with(index), scale, out=row)
        at_query = self._covariance[:, index] / scale
        self._covariance -= at_query[:, None] * row
        self._variance -= np.square(row)
        np.maximum(self._variance, 0, out=self._variance)  # rounding may take a variance below its bound
        self._latest[index] = (self._count, scale)
        self._count += 1

    def _kernel_with(self, index: int) -> FloatArray:
        """`(K,)`, the present k(x, ·) of a candidate x."""
        if index in self._latest:
            last, scale = self._latest[index]
            # right after its own observation k(x, ·) is L·√(k(x, x) + λ) shrunk by λ / (k(x, x) + λ)
            start, column = last + 1, self._factor[last] * (self.noise / scale)
        else:
            start, column = 0, self._candidates @ self._candidates[index]
        since = self._factor[start : self._count]
        kernel: FloatArray = column - since[:, index] @ since
        return kernel
