"""How near two queries must be for the adapter of the one to serve the other, learnt from measured pairs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whet.errors import InputError

FEWEST_PAIRS = 10
"""Pairs without which there is nothing to fit."""

_FOLDS = 10


@dataclass(frozen=True)
class Thresholds:
    """Cosines from which on a cached adapter is used, and how far to trust them.

    Attributes:
        hit: from here on an adapter serves as it is; None if it is never expected to keep enough of the gain.
        warm: from here on training may start from it; None likewise.
        mae: mean absolute error of the expected share of the gain, for pairs that the fit had not seen.
        constant_mae: the same of a prediction that knows only the mean share; no larger than `mae` if cosines tell
            nothing.
        pairs: how many were measured.
    """

    hit: float | None
    warm: float | None
    mae: float
    constant_mae: float
    pairs: int


def calibrate_thresholds(
    cosines: ArrayLike, kept: ArrayLike, *, hit: float = 0.9, warm: float = 0.5, seed: int = 0
) -> Thresholds:
    """Learn from measured pairs of queries from which cosine on an adapter is worth using for another query.

    The expected share of the gain is the function of the cosine that never falls and is nearest to the measured shares
    in least squares (isotonic regression, by scikit-learn); it runs straight between its knots. A threshold is the
    smallest cosine, among those measured or between two of them, at which it reaches the level. Errors are those of
    ten-fold cross-validation over pairs; pairs that share a query make them look smaller than they are.

    Source: Barlow et al. 1972, "Statistical Inference under Order Restrictions".

    Args:
        cosines: `(n,)`, of the two queries of each pair.
        kept: `(n,)`, the gain of the second query with the adapter of the first, as a share of its gain with its own:
            1 is all of it, negative is harm.
        hit: share of the gain that an adapter must be expected to keep to serve as it is.
        warm: share that it must be expected to keep for training to start from it.
        seed: of the folds.

    Raises:
        InputError: there are fewer than 10 pairs, shapes differ, a number is not finite or no cosine, or `warm` is
            above `hit`.

    >>> cosines = np.linspace(0, 1, 101)
    >>> found = calibrate_thresholds(cosines, cosines**2)
    >>> round(found.hit, 3), round(found.warm, 3)
    (0.949, 0.707)
    """
    where, share = _measured(cosines, kept)
    if not (math.isfinite(hit) and math.isfinite(warm) and warm <= hit):
        raise InputError(f"hit={hit}, warm={warm}: give two shares of the gain, that of hit at least that of warm.")
    fold = np.random.default_rng(seed).permutation(len(where)) % _FOLDS
    errors, constant_errors = np.empty_like(share), np.empty_like(share)
    for held in range(_FOLDS):
        test = fold == held
        expected = np.interp(where[test], *_isotonic(where[~test], share[~test]))
        errors[test] = np.abs(share[test] - expected)
        constant_errors[test] = np.abs(share[test] - share[~test].mean())
    knots, values = _isotonic(where, share)
    return Thresholds(
        hit=_first_reaching(hit, knots, values),
        warm=_first_reaching(warm, knots, values),
        mae=float(errors.mean()),
        constant_mae=float(constant_errors.mean()),
        pairs=len(where),
    )


def _measured(cosines: ArrayLike, kept: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    where, share = np.asarray(cosines, dtype=np.float64), np.asarray(kept, dtype=np.float64)
    if where.ndim != 1 or where.shape != share.shape:
        raise InputError(f"cosines have shape {where.shape} and kept {share.shape}: give both with one entry a pair.")
    if len(where) < FEWEST_PAIRS:
        raise InputError(f"{len(where)} pairs were measured: too few to learn from, give at least {FEWEST_PAIRS}.")
    if not np.isfinite(share).all():
        raise InputError("kept holds a number that is not finite (NaN, infinity): leave that pair out.")
    wrong = where[~(np.abs(where) <= 1 + 1e-6)]
    if wrong.size:
        raise InputError(f"cosines hold {wrong[0]}: a cosine is between -1 and 1.")
    return where, share


def _isotonic(
    where: NDArray[np.float64], share: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Knots of the rising function that is nearest to the shares, and its values there."""
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression().fit(where, share)
    return fitted.X_thresholds_, fitted.y_thresholds_


def _first_reaching(level: float, knots: NDArray[np.float64], values: NDArray[np.float64]) -> float | None:
    """The smallest place at or between the knots where the function has this value."""
    reached = np.flatnonzero(values >= level)
    if not reached.size:
        return None
    after = int(reached[0])
    if after == 0:
        return float(knots[0])
    return float(np.interp(level, values[after - 1 : after + 1], knots[after - 1 : after + 1]))
