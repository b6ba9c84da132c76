"""What training on a choice will gain, foretold from how well the choice lets the query be known."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from operator import index
from typing import Any, cast, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whet.errors import InputError
from whet.selection.random import generator

FEWEST = 10
"""Queries without which there is nothing to fit."""

RESAMPLES = 1000
"""Of the bootstrap."""


@dataclass(frozen=True)
class Calibration:
    """The expected gain of training as a function of the variance that a choice leaves, and how far to trust it.

    The function never rises, runs straight between its knots, and is constant outside them. Gains are in the unit of
    those that it was fitted on. All errors are of predictions for queries that the fit had not seen.

    Attributes:
        variances: where the knots are, strictly rising shares of the prior variance.
        gains: expected gain at each, never rising.
        residuals: measured minus expected gain of each held-out measurement, rising.
        queries: how many were measured.
        rmse: root mean square of the residuals.
        mae: mean absolute residual.
        constant_rmse, constant_mae: the same of a prediction that knows only the mean gain; lower if variance misleads.
        rank_correlation: Spearman's, of variance and gain; −1 if less variance always went with more gain.
        rank_ci95: its 95 % bootstrap interval (percentile, resampling queries).

    Raises:
        InputError: the numbers cannot be those of a fit.
    """

    variances: tuple[float, ...]
    gains: tuple[float, ...]
    residuals: tuple[float, ...]
    queries: int
    rmse: float
    mae: float
    constant_rmse: float
    constant_mae: float
    rank_correlation: float
    rank_ci95: tuple[float, float]

    def __post_init__(self) -> None:
        numbers = [getattr(self, field.name) for field in fields(self)]
        if not all(math.isfinite(n) for entry in numbers for n in (entry if isinstance(entry, tuple) else (entry,))):
            raise InputError("a calibration holds a number that is not finite: fit it again with calibrate(...).")
        _shares("variances", self.variances)
        rising, falling = np.diff(self.variances) > 0, np.diff(self.gains) <= 0
        if not (0 < len(self.variances) == len(self.gains) and rising.all() and falling.all()):
            raise InputError("the knots of a calibration do not go down from left to right: fit it again.")
        ordered = (np.diff(self.residuals) >= 0).all() and len(self.rank_ci95) == 2
        if not (ordered and FEWEST <= self.queries <= len(self.residuals)):
            raise InputError(
                f"a calibration has {len(self.residuals)} residuals of {self.queries} queries, or these are out of "
                "order: fit it again with calibrate(...)."
            )

    @overload
    def expected_gain(self, variance: float) -> float: ...
    @overload
    def expected_gain(self, variance: NDArray[Any]) -> NDArray[np.float64]: ...
    def expected_gain(self, variance: float | NDArray[Any]) -> float | NDArray[np.float64]:
        """What training is expected to gain where a choice leaves this share of the prior variance, or these shares.

        Outside the variances that were measured, what was expected at the nearest of them.

        Raises:
            InputError: a variance is no share, 0 to 1.
        """
        shares = _shares("variance", variance)
        found = np.interp(shares, self.variances, self.gains)
        return found if shares.ndim else float(found)

    @overload
    def interval(self, variance: float, level: float = 0.8) -> tuple[float, float]: ...
    @overload
    def interval(self, variance: NDArray[Any], level: float = 0.8) -> tuple[NDArray[Any], NDArray[Any]]: ...
    def interval(self, variance: float | NDArray[Any], level: float = 0.8) -> tuple[Any, Any]:
        """Lowest and highest gain to reckon with for one query: the expected gain plus quantiles of the residuals.

        Of q residuals of q queries, the j-th from below and from above with j = ⌊(1 − level) (q + 1) / 2⌋, as in split
        conformal prediction; with several measurements a query, the same quantiles of all residuals. A new query from
        where those measured came from falls between with a probability of about `level`. That is on average over
        queries: where gains scatter more, fewer fall between. It is no guarantee either, since the residuals are not
        from a set of their own but from cross-validation.

        Source: Barber et al. 2021, arXiv 1905.02928, on intervals from the residuals of cross-validation.

        Raises:
            InputError: the level is not between 0 and 1, too few queries were measured for it, or a variance is no
                share.
        """
        if not 0 < level < 1:
            raise InputError(f"level={level}: give a probability between 0 and 1, such as 0.8.")
        tail = math.floor(round((1 - level) / 2 * (self.queries + 1), 9))
        if not tail:
            needed = math.ceil(round(2 / (1 - level), 9)) - 1
            raise InputError(
                f"level={level} takes {needed} queries and {self.queries} were measured: measure more, or lower it."
            )
        place = tail * len(self.residuals) // self.queries
        expected = self.expected_gain(variance)
        return expected + self.residuals[place - 1], expected + self.residuals[-place]

    def best_picks(self, variances: ArrayLike, cost: float) -> int:
        """How many picks of a choice to train on: expected gain less cost is largest; the fewest of equally good ones.

        No picks gain nothing and cost nothing, so 0 says not to train. All numbers of picks are compared: a rule that
        looks one pick ahead would end wherever the expected gain is level for a while. The fit should have seen gains
        after few and after many picks, or it takes few picks for as good as many that leave the same variance.

        Args:
            variances: `(n + 1,)`, of the choice: before any pick and after each.
            cost: of one pick, in the unit of the gains, ≥ 0.

        Raises:
            InputError: an argument is empty or out of range.
        """
        if not (math.isfinite(cost) and cost >= 0):
            raise InputError(f"cost={cost}: give what a pick costs in the unit of the gains, at least 0.")
        shares = _shares("variances", variances)
        if shares.ndim != 1 or not len(shares):
            raise InputError(f"variances have shape {shares.shape}: give those of a choice, one before any pick first.")
        net = self.expected_gain(shares) - cost * np.arange(len(shares))
        net[0] = 0
        return int(net.argmax())

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and tuples of them by name, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Calibration:
        """The calibration that gave these values, exactly, also after JSON.

        Raises:
            InputError: one is missing, unknown, of another kind, or cannot come from a fit.
        """
        names = {field.name for field in fields(cls)}
        if not isinstance(values, Mapping) or set(values) != names:
            raise InputError(f"a calibration has the entries {sorted(names)}: give what to_dict() returned.")
        try:
            return cls(
                variances=_numbers(values["variances"]),
                gains=_numbers(values["gains"]),
                residuals=_numbers(values["residuals"]),
                queries=index(values["queries"]),
                rmse=_number(values["rmse"]),
                mae=_number(values["mae"]),
                constant_rmse=_number(values["constant_rmse"]),
                constant_mae=_number(values["constant_mae"]),
                rank_correlation=_number(values["rank_correlation"]),
                rank_ci95=cast(tuple[float, float], _numbers(values["rank_ci95"])),
            )
        except TypeError as error:
            raise InputError(f"an entry of a calibration is of the wrong kind: {error}; fit it again.") from error

    def __str__(self) -> str:
        low, high = self.rank_ci95
        return (
            f"expected gain {self.gains[0]:.3g} at variance {self.variances[0]:.3g}, falling to {self.gains[-1]:.3g} "
            f"at {self.variances[-1]:.3g}; {self.queries} queries\n"
            f"cross-validated RMSE {self.rmse:.3g} (constant {self.constant_rmse:.3g}), mean absolute error "
            f"{self.mae:.3g} (constant {self.constant_mae:.3g}); rank correlation {self.rank_correlation:.2f} "
            f"[{low:.2f}, {high:.2f}]"
        )


def calibrate(variances: ArrayLike, gains: ArrayLike, *, folds: int = 10, seed: int = 0) -> Calibration:
    """Learn from measured queries what training gains where a choice leaves some share of the prior variance.

    Least squares if less variance left means no less gain (isotonic regression, by scikit-learn). Its errors are those
    of k-fold cross-validation over queries.

    Source: Barlow et al. 1972, "Statistical Inference under Order Restrictions"; that the surrogate's uncertainty
    foretells the gain: Hübotter et al. 2025, arXiv 2410.08020.

    Args:
        variances: `(q,)`, the last of `Choice.variances` for each query; or `(q, p)` with p measurements of each query,
            such as after 10 and after 50 picks. Those of one query always share a fold.
        gains: of the same shape, what training brought: bits per byte before minus after, or that as a share of those
            before, which depends less on how hard the query is.
        folds: number of folds, 2 to q.
        seed: of the folds and the bootstrap.

    Raises:
        InputError: there are fewer than 10 queries, shapes differ, a number is not finite, a variance is no share, or
            all variances or all gains are equal.

    >>> variances = np.linspace(0.1, 0.9, 50)
    >>> calibration = calibrate(variances, 0.5 - 0.5 * variances)
    >>> round(calibration.expected_gain(0.3), 3), calibration.rank_correlation
    (0.35, -1.0)
    >>> calibration.best_picks([1.0, 0.5, 0.3, 0.29], cost=0.02)
    2
    """
    left, gained = _measured(variances, gains)
    if not isinstance(folds, int) or not 2 <= folds <= len(left):
        raise InputError(f"folds={folds}: give a whole number from 2 to {len(left)}, the number of queries.")
    rng = generator(seed, left)
    fold = rng.permutation(len(left)) % folds
    expected, constant = np.empty_like(gained), np.empty_like(gained)
    for held in range(folds):
        test = fold == held
        expected[test] = np.interp(left[test], *_isotonic(left[~test], gained[~test]))
        constant[test] = gained[~test].mean()
    knots, values = _isotonic(left, gained)
    residuals, naive = gained - expected, gained - constant
    return Calibration(
        variances=tuple(knots.tolist()),
        gains=tuple(values.tolist()),
        residuals=tuple(np.sort(residuals, axis=None).tolist()),
        queries=len(left),
        rmse=float(np.sqrt(np.square(residuals).mean())),
        mae=float(np.abs(residuals).mean()),
        constant_rmse=float(np.sqrt(np.square(naive).mean())),
        constant_mae=float(np.abs(naive).mean()),
        rank_correlation=_spearman(left, gained),
        rank_ci95=_spearman_interval(left, gained, rng),
    )


def _measured(variances: ArrayLike, gains: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both as `(q, p)`."""
    left, gained = _shares("variances", variances), np.asarray(gains, dtype=np.float64)
    if left.shape != gained.shape or left.ndim not in (1, 2) or not left.size:
        raise InputError(
            f"variances have shape {left.shape} and gains {gained.shape}: give both with one row for each query."
        )
    if len(left) < FEWEST:
        raise InputError(f"{len(left)} queries were measured: that is too few to learn from, give at least {FEWEST}.")
    if not np.isfinite(gained).all():
        raise InputError("gains hold a number that is not finite (NaN, infinity): leave that query out.")
    for name, array in (("variances", left), ("gains", gained)):
        if (array == array.flat[0]).all():
            raise InputError(
                f"all {name} are {array.flat[0]:.3g}: nothing can be learnt from them; measure other queries."
            )
    return left.reshape(len(left), -1), gained.reshape(len(left), -1)


def _isotonic(left: NDArray[np.float64], gained: NDArray[np.float64]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Knots of the falling function that is nearest to the gains, and its values there."""
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression(increasing=False).fit(left.ravel(), gained.ravel())
    # the knots may be a rounding apart, in place and in value
    knots, first = np.unique(fitted.X_thresholds_, return_index=True)
    return knots, np.minimum.accumulate(fitted.y_thresholds_[first])


def _spearman(left: NDArray[np.float64], gained: NDArray[np.float64]) -> float:
    """Spearman's correlation; 0 where one side is constant and it is undefined."""
    from scipy.stats import rankdata

    ranks = np.stack([rankdata(left, axis=None), rankdata(gained, axis=None)])
    ranks -= ranks.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(ranks, axis=1).prod()
    return float(np.clip(ranks[0] @ ranks[1] / lengths, -1, 1)) if lengths else 0.0


def _spearman_interval(
    left: NDArray[np.float64], gained: NDArray[np.float64], rng: np.random.Generator
) -> tuple[float, float]:
    draws = (rng.integers(len(left), size=len(left)) for _ in range(RESAMPLES))
    low, high = np.quantile([_spearman(left[rows], gained[rows]) for rows in draws], [0.025, 0.975])
    return float(low), float(high)


def _shares(name: str, values: ArrayLike) -> NDArray[np.float64]:
    shares = np.asarray(values, dtype=np.float64)
    wrong = shares[~((shares >= 0) & (shares <= 1))]
    if wrong.size:
        raise InputError(f"{name} hold {wrong.flat[0]}: a variance is a share of the prior variance, 0 to 1.")
    return shares


def _numbers(values: Iterable[object]) -> tuple[float, ...]:
    return tuple(map(_number, values))


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    return float(value)
