"""The surrogate at fixed candidates and targets, kept up to date observation by observation, many queries at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from whet.errors import InputError
from whet.selection.arrays import Array, contiguous, namespace, to_numpy
from whet.selection.kernels import Kernel
from whet.selection.surrogate import BayesianLinear

WHOLE_KERNEL = 4
"""The kernel of all candidates is computed at once up to this many candidates an observation; above, as needed."""


class Effect(NamedTuple):
    """What observing one candidate for each query would do.

    Attributes:
        index: the candidates: a number for a single query, `(B,)` for several.
        scale: `(B, 1)`, √(k(x, x) + λ), the standard deviation of the observation.
        at_targets: `(B, m)`, k(a, x) / √(k(x, x) + λ): squared, what it takes off each target's variance.
    """

    index: Any
    scale: Array
    at_targets: Array


class Posterior:
    """How uncertain a Gaussian process is about targets and candidates, after noisy observations of candidates.

    Observing x turns k into k'(u, v) = k(u, v) − k(u, x) k(x, v) / (k(x, x) + λ). Kept are k between targets and
    candidates, k(x, x) of every candidate, and a row L_i = k(x_i, ·) / √(k(x_i, x_i) + λ) for each observation: a
    partial Cholesky factor. The B queries have nothing to do with one another; what comes out for one does not depend
    on the others, in NumPy to the last bit.

    Source: Hübotter et al. 2025, arXiv 2410.08020; Rasmussen and Williams 2006, eq. 2.26.
    Cost of N observations for a query: O(N K d + N² K) time, O(N K) memory; with K ≤ 4 N, O(K² d + N² K) and O(K²).

    Args:
        candidates: `(B, K, d)`, checked.
        targets: `(B, m, d)`, checked, of the same kind and dtype; all arithmetic is done in it.
        noise: λ > 0, a number or `(B, K)`, one for each candidate.
        observations: the most that will be made.
        known: for each query a surrogate with what it has seen already; all have seen equally many inputs. Their
            kernel is used. A single one without observations serves all.

    Raises:
        InputError: there is not one surrogate for each query.
    """

    def __init__(
        self,
        candidates: Array,
        targets: Array,
        noise: float | Array,
        observations: int,
        known: Sequence[BayesianLinear],
    ) -> None:
        xp = namespace(candidates)
        batch, rows, _ = candidates.shape
        if len(known) != batch and (len(known) != 1 or len(known[0])):
            raise InputError(f"known has {len(known)} surrogates for {batch} queries: give one for each.")
        self._surrogates = known
        self._known = self._count = len(known[0])
        self.kernel: Kernel = known[0].kernel
        self.candidates, self.targets = candidates, targets
        self.noise: Array = xp.zeros_like(candidates[:, :, 0]) + noise  # (B, K)
        self.prior = to_numpy(self.kernel.diagonal(targets)).sum(axis=1, dtype="float64")  # (B,)
        self.covariance: Array = self.kernel(targets, candidates)  # (B, m, K)
        self.noisy: Array = self.kernel.diagonal(candidates) + self.noise  # (B, K): k(x, x) + λ
        places = self._known + observations
        self._factor: Array = self._empty(batch, places, rows)
        self._gram: Array = None
        self._effects: list[Effect] = []
        self._since: Array = xp.zeros_like(self.noisy, dtype=xp.int64)  # 1 + place of each one's last observation
        # A slice and a number give as views what an array of rows and one of indices give as copies: the same shapes.
        self._queries: Any = slice(0, 1) if batch == 1 else self._arange(batch)
        self._known_at_targets: Array = self._empty(batch, self._known, targets.shape[1])
        if self._known:
            self._seen_before(self._factor, candidates)
            self._seen_before(self._known_at_targets, targets)
            seen = self._factor[:, : self._known]
            self.covariance = self.covariance - self._known_at_targets.mT @ seen
            self.noisy = self.noisy - (seen * seen).sum(axis=1)
        self._prepare()

    def reduction(self) -> Array:
        """`(B, K)`, by how much observing each candidate would lower the targets' summed variance.

        Σ_a k(a, x)² / (k(x, x) + λ). Comparing these, and not the variances that would be left, keeps small gains apart
        in float32.
        """
        xp = namespace(self.covariance)
        xp.multiply(self.covariance, self.covariance, out=self._product)
        total = self._product[:, 0] if self.covariance.shape[1] == 1 else self._product.sum(axis=1)
        return total / self.noisy

    def variance(self) -> Array:
        """`(B, K)`, k(x, x) of every candidate, at least 0; `noisy` less the noise would be rounded."""
        seen = self._factor[:, : self._count]
        return (self.kernel.diagonal(self.candidates) - (seen * seen).sum(axis=1)).clip(min=0)

    def target_covariance(self) -> Array:
        """`(B, m, m)`, k among the targets."""
        seen = self._at_targets()
        return self.kernel(self.targets, self.targets) - seen.mT @ seen

    def candidate_covariance(self) -> Array:
        """`(B, K, K)`, k among the candidates; O(n K²) after n observations."""
        if self._gram is None:
            self._gram = self.kernel(self.candidates, self.candidates)
        seen = self._factor[:, : self._count]
        return self._gram - seen.mT @ seen

    def reductions(self) -> Array:
        """`(B, n)` float64, by how much each observation so far has lowered the targets' summed variance."""
        effects = to_numpy(self._at_targets()[:, self._known :]).astype("float64")
        return (effects * effects).sum(axis=2)

    def explained(self) -> Array:
        """`(B,)` float64, by how much what was known beforehand has lowered the targets' summed variance."""
        effects = to_numpy(self._known_at_targets).astype("float64")
        return (effects * effects).sum(axis=(1, 2))

    def effect(self, index: Any) -> Effect:
        """What observing a candidate for each query would do; `index` is a number for one query, `(B,)` for several."""
        scale = namespace(self.noisy).sqrt(self.noisy[self._queries, index])[:, None]
        return Effect(index, scale, self.covariance[self._queries, :, index] / scale)

    def observe(self, effect: Effect) -> None:
        """Condition on a noisy observation of a candidate for each query, which may have been observed before.

        Args:
            effect: of the observation, now.
        """
        xp = namespace(self.noisy)
        row = self._factor[:, self._count]
        xp.divide(self._kernel_with(effect.index), effect.scale, out=row)
        xp.multiply(effect.at_targets[:, :, None], row[:, None], out=self._product)
        xp.subtract(self.covariance, self._product, out=self.covariance)
        xp.multiply(row, row, out=self._square)
        xp.subtract(self.noisy, self._square, out=self.noisy)
        self._effects.append(effect)
        self._count += 1
        self._since[self._queries, effect.index] = self._count

    def append(self, candidates: Array, noise: float | Array) -> None:
        """More candidates, `(B, k, d)`, after those that there are; what was observed stays observed.

        Costs O(n k d + n² k) after n observations.

        Args:
            candidates: checked, of the same kind and dtype.
            noise: λ > 0 of the new ones, a number or `(B, k)`.
        """
        xp = namespace(candidates)
        batch, rows, _ = candidates.shape
        factor = self._empty(batch, self._factor.shape[1], rows)
        self._seen_before(factor, candidates)
        for place, effect in enumerate(self._effects, start=self._known):
            x = self.candidates[self._queries, effect.index][:, None]  # (B, 1, d)
            weights = contiguous(self._factor[self._queries, :place, effect.index])[:, None]  # (B, 1, place)
            column = self.kernel(x, candidates) - weights @ factor[:, :place]
            factor[:, place] = column[:, 0] / effect.scale
        seen = factor[:, : self._count]
        covariance = self.kernel(self.targets, candidates) - self._at_targets().mT @ seen
        noises = xp.zeros_like(candidates[:, :, 0]) + noise
        noisy = self.kernel.diagonal(candidates) + noises - (seen * seen).sum(axis=1)
        self.candidates = xp.concatenate([self.candidates, candidates], axis=1)
        self.noise = xp.concatenate([self.noise, noises], axis=1)
        self.covariance = xp.concatenate([self.covariance, covariance], axis=2)
        self.noisy = xp.concatenate([self.noisy, noisy], axis=1)
        self._factor = xp.concatenate([self._factor, factor], axis=2)
        self._since = xp.concatenate([self._since, xp.zeros_like(noisy, dtype=xp.int64)], axis=1)
        self._prepare()

    def _kernel_with(self, index: Any) -> Array:
        """`(B, K)`, the present k(x, ·) of a candidate x for each query."""
        since = self._since[self._queries, index]  # (B,)
        repeated = bool(since[0] if len(since) == 1 else since.any())
        column = self._column(index)
        if not self._count:
            return column
        # laid out alike for one query and for several, or the product would be rounded differently
        weights = contiguous(self._factor[self._queries, : self._count, index])  # (B, n)
        if repeated:
            column, weights = self._since_last(index, since, column, weights)
        return column - (weights[:, None] @ self._factor[:, : self._count])[:, 0]

    def _column(self, index: Any) -> Array:
        """`(B, K)`, k(x, ·) of a candidate x for each query before anything was known."""
        if self._gram is not None:
            return self._gram[self._queries, index]
        return self.kernel(self.candidates[self._queries, index][:, None], self.candidates)[:, 0]

    def _since_last(self, index: Any, since: Array, column: Array, weights: Array) -> tuple[Array, Array]:
        """Column and weights that begin at the last observation of each candidate, where there is one.

        Right after its own observation k(x, ·) is L·√(k(x, x) + λ) shrunk by λ / (k(x, x) + λ); to subtract everything
        from the beginning would cancel almost all of it.
        """
        xp = namespace(column)
        queries = self._arange(len(since))
        last = (since - 1).clip(min=0)
        scales = xp.stack([effect.scale[:, 0] for effect in self._effects], axis=1)  # (B, n)
        shrink = self.noise[self._queries, index] / scales[queries, (last - self._known).clip(min=0)]
        shrunk = self._factor[queries, last] * shrink[:, None]
        later = self._arange(self._count) >= since[:, None]
        return xp.where(since[:, None] > 0, shrunk, column), weights * later

    def _at_targets(self) -> Array:
        """`(B, n, m)`, for each observation what it took off the targets, squared."""
        seen = [effect.at_targets[:, None] for effect in self._effects]
        return namespace(self.noisy).concatenate([self._known_at_targets, *seen], axis=1)

    def _prepare(self) -> None:
        """What depends on the number of candidates."""
        xp = namespace(self.noisy)
        self._product = xp.empty_like(self.covariance)
        self._square = xp.empty_like(self.noisy)
        whole = self.candidates.shape[1] <= WHOLE_KERNEL * self._factor.shape[1]
        self._gram = self.kernel(self.candidates, self.candidates) if whole else None

    def _seen_before(self, factor: Array, inputs: Array) -> None:
        """Write the first rows of a factor, those of what was known beforehand."""
        if self._known:
            for query, surrogate in enumerate(self._surrogates):
                factor[query, : self._known] = surrogate.whiten(inputs[query])

    def _empty(self, *shape: int) -> Array:
        like = self.covariance
        return namespace(like).empty(shape, dtype=like.dtype, device=like.device)

    def _arange(self, count: int) -> Array:
        like = self.covariance
        return namespace(like).arange(count, device=like.device)
