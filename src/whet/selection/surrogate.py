"""Bayesian linear regression: what is known of a function after some observations of it, and what more would tell."""

from __future__ import annotations

import math

import numpy as np

from whet.errors import InputError
from whet.selection.arrays import Array, namespace, solve_lower, wide
from whet.selection.checks import checked_match, checked_noise, float_rows
from whet.selection.kernels import LINEAR, Kernel

KNOWN = 100.0
"""A variance of at most this many roundings of the prior one cannot be told from zero."""


class BayesianLinear:
    """A linear function of features with a Gaussian prior, seen through noisy observations.

    f(x) = ⟨w, φ(x)⟩ with w ~ N(0, I), and y = f(x) + ε with ε ~ N(0, λ): equally, a Gaussian process of kernel
    k(x, x') = ⟨φ(x), φ(x')⟩. The features may be given as they are (embeddings, and the kernel `Linear`) or only by a
    kernel. An object does not change: `condition` returns a new one, in O(n² b) for b observations after n.

    Nothing is added to the diagonal but the noise: where a dtype cannot bear it, an error says so.

    Source: Rasmussen and Williams 2006, eqs. 2.23 to 2.26 and 2.30.

    Args:
        noise: λ > 0, variance of an observation's noise, in units of the kernel (1 for unit vectors).
        kernel: k.

    >>> import numpy as np
    >>> prior = BayesianLinear(noise=0.1)
    >>> posterior = prior.condition(np.array([[1.0, 0.0]]), np.array([2.0]))
    >>> prior.variance(np.eye(2)).round(3).tolist(), posterior.variance(np.eye(2)).round(3).tolist()
    ([1.0, 1.0], [0.091, 1.0])
    >>> posterior.mean(np.eye(2)).round(3).tolist()
    [1.818, 0.0]
    """

    def __init__(self, noise: float, *, kernel: Kernel = LINEAR) -> None:
        checked_noise(noise)
        self.noise = float(noise)
        self.kernel = kernel
        self._points: Array = None  # (n, d)
        self._factor: Array = None  # (n, n): Cholesky of k(X, X) + Λ
        self._residual: Array = None  # (n,): factor⁻¹ y

    def __len__(self) -> int:
        """Number of observations."""
        return 0 if self._points is None else len(self._points)

    def condition(self, x: Array, y: Array | None = None, *, noise: float | Array | None = None) -> BayesianLinear:
        """The surrogate after observations at `x`, `(b, d)` or `(d,)`.

        Args:
            x: where, one input a row; the dtype and kind of those before.
            y: `(b,)`, what was observed; without it variances are known, and `mean` is not.
            noise: variance of these observations' noise, one for all or `(b,)`; the surrogate's unless given.

        Raises:
            InputError: x or y is empty, not finite, of another shape, dtype or kind than fits; or the noise is not
                positive, or too small for the dtype.
        """
        rows = self._rows("x", x)
        xp = namespace(rows)
        values = None if y is None else self._values(y, rows)
        if len(self) and (values is None) != (self._residual is None):
            raise InputError("y was given for some observations only: give it for all of them, or for none.")
        covariance = self.kernel(rows, rows) + xp.diag(self._noises(noise, rows))
        across = self.whiten(rows)  # (n, b)
        own = _cholesky(covariance - across.T @ across, rows)
        after = BayesianLinear(self.noise, kernel=self.kernel)
        if len(self):
            zeros = xp.zeros_like(across)
            after._points = xp.concatenate([self._points, rows])
            after._factor = xp.concatenate(
                [xp.concatenate([self._factor, zeros], axis=1), xp.concatenate([across.T, own], axis=1)]
            )
        else:
            after._points, after._factor = rows, own
        if values is not None:
            seen = across.T @ self._residual if len(self) else 0
            new = solve_lower(own, (values - seen)[:, None])[:, 0]
            after._residual = xp.concatenate([self._residual, new]) if len(self) else new
        return after

    def whiten(self, z: Array) -> Array:
        """`(n, p)`: L⁻¹ k(X, z) for inputs `(p, d)`, with L Lᵀ = k(X, X) + Λ; its columns' inner products are what the
        observations explain of the kernel.
        """
        if self._points is None:
            return namespace(z).zeros_like(z[:, :0].T)
        return solve_lower(self._factor, self.kernel(self._points, z))

    def mean(self, z: Array) -> Array:
        """`(p,)`: expectation of f at inputs `(p, d)`; 0 before any observation.

        Raises:
            InputError: the observations had no values, or z does not fit.
        """
        rows = self._rows("z", z)
        if self._residual is None and len(self):
            raise InputError("the observations have no values: give y to condition(...).")
        whitened = self.whiten(rows)
        return whitened.T @ self._residual if len(self) else self.kernel.diagonal(rows) * 0

    def variance(self, z: Array) -> Array:
        """`(p,)`: variance of f at inputs `(p, d)`.

        Raises:
            InputError: z does not fit.
        """
        rows = self._rows("z", z)
        whitened = self.whiten(rows)
        variance = self.kernel.diagonal(rows) - (whitened * whitened).sum(axis=0)
        return variance.clip(min=0)  # rounding may take it below

    def covariance(self, z: Array, w: Array | None = None) -> Array:
        """`(p, q)`: covariance of f at inputs `(p, d)` with f at inputs `(q, d)`, or among the first ones.

        Raises:
            InputError: an argument does not fit.
        """
        rows = self._rows("z", z)
        others = rows if w is None else self._rows("w", w)
        checked_match("z", rows, "w", others)
        left = self.whiten(rows)
        right = left if w is None else self.whiten(others)
        return self.kernel(rows, others) - left.T @ right

    def information_gain(self, x: Array, about: Array | None = None, *, noise: float | Array | None = None) -> float:
        """How many nats observing `x`, `(b, d)`, together tells about f at `about`, `(p, d)`, or about all of f.

        I(f; y_x) = ½ log det(I + Λ⁻¹ Σ_xx), and I(f_A; y_x) = I(f; y_x) − I(f; y_x | f_A). Directions among `about` in
        which at most 100 roundings of the largest prior variance are left count as known: the inputs may repeat. All of
        it is computed in float64.

        Raises:
            InputError: an argument does not fit.
        """
        rows = self._rows("x", x)
        xp, noises = namespace(rows), wide(self._noises(noise, rows))
        exact = self._in_float64()
        covariance = exact.covariance(wide(rows))
        total = _log_det(covariance + xp.diag(noises), rows)
        if about is None:
            return (total - float(xp.log(noises).sum())) / 2
        targets = self._rows("about", about)
        checked_match("x", rows, "about", targets)
        variances, directions = xp.linalg.eigh(exact.covariance(wide(targets)))
        # directions among the targets that rounding cannot tell from known ones tell nothing
        prior = float(self.kernel.diagonal(targets).max())
        kept = variances > KNOWN * float(xp.finfo(variances.dtype).eps) * prior
        across = directions[:, kept].T @ exact.covariance(wide(targets), wide(rows)) / xp.sqrt(variances[kept])[:, None]
        return (total - _log_det(covariance - across.T @ across + xp.diag(noises), rows)) / 2

    def log_evidence(self) -> float:
        """Logarithm of the density that the surrogate gave to the observed values beforehand, in nats.

        Raises:
            InputError: nothing was observed, or no values.
        """
        if self._residual is None:
            raise InputError("there are no observed values: give y to condition(...).")
        log_det = 2 * float(namespace(self._factor).log(self._factor.diagonal()).sum())
        return -(float(self._residual @ self._residual) + log_det + len(self) * math.log(2 * math.pi)) / 2

    def _in_float64(self) -> BayesianLinear:
        surrogate = BayesianLinear(self.noise, kernel=self.kernel)
        if len(self):
            surrogate._points, surrogate._factor = wide(self._points), wide(self._factor)
        return surrogate

    def _rows(self, name: str, values: Array) -> Array:
        rows = float_rows(name, values[None] if getattr(values, "ndim", 2) == 1 else values)
        held = self._points
        if held is not None and (rows.dtype != held.dtype or rows.shape[1] != held.shape[1]):
            raise InputError(
                f"{name} has dtype {rows.dtype} and {rows.shape[1]} dimensions, the observations have {held.dtype} and "
                f"{held.shape[1]}: give the same."
            )
        return rows

    def _values(self, y: Array, rows: Array) -> Array:
        values = _like(rows, y, "y")
        if tuple(values.shape) not in {(len(rows),), (len(rows), 1), () if len(rows) == 1 else (len(rows),)}:
            raise InputError(f"y has shape {tuple(values.shape)} for {len(rows)} inputs: give one value for each.")
        values = values.reshape(-1)
        if not namespace(rows).isfinite(values).all():
            raise InputError("y holds values that are not finite (NaN, infinity); leave those observations out.")
        return values

    def _noises(self, noise: float | Array | None, rows: Array) -> Array:
        xp = namespace(rows)
        given = _like(rows, self.noise if noise is None else noise, "noise")
        if tuple(given.shape) not in {(), (len(rows),)}:
            raise InputError(
                f"noise has shape {tuple(given.shape)} for {len(rows)} inputs: give one number, or one for each."
            )
        noises = xp.zeros_like(rows[:, 0]) + given
        if not bool((xp.isfinite(noises) & (noises > 0)).all()):
            raise InputError(f"noise={noise}: give a positive number, or one for each of the {len(rows)} inputs.")
        return noises


def _like(rows: Array, values: Array, name: str) -> Array:
    """Values as an array of the kind, dtype and device of the rows.

    Raises:
        InputError: they are no numbers.
    """
    xp = namespace(rows)
    try:
        return xp.asarray(values, dtype=rows.dtype, device=rows.device)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}={values!r}: give numbers, one for each input.") from error


def _cholesky(matrix: Array, rows: Array) -> Array:
    """Lower factor of a symmetric matrix.

    Raises:
        InputError: it is not positive definite in this dtype.
    """
    try:
        return namespace(matrix).linalg.cholesky(matrix)
    except (np.linalg.LinAlgError, RuntimeError) as error:  # torch's LinAlgError is a RuntimeError
        raise InputError(
            f"the covariance of {len(rows)} inputs is singular in {rows.dtype}: give float64, more noise, or inputs "
            "that do not determine one another."
        ) from error


def _log_det(matrix: Array, rows: Array) -> float:
    return 2 * float(namespace(matrix).log(_cholesky(matrix, rows).diagonal()).sum())
