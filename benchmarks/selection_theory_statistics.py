"""Rank correlations, percentages of the base model, and bootstrap intervals over queries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Column = NDArray[np.float64]
Row = dict[str, Any]
RESAMPLES = 2000
FEWEST = 4
"""Queries below which no interval is given."""


def interval(
    statistic: Callable[..., float], *columns: Column, clusters: Column | None = None
) -> tuple[float, float] | None:
    """95 % bootstrap interval (percentile) over queries, or over clusters of them, all columns drawn together."""
    size = len(columns[0])
    units = [np.array([i]) for i in range(size)]
    if clusters is not None:
        units = [np.flatnonzero(clusters == name) for name in np.unique(clusters)]
    if len(units) < FEWEST:
        return None
    rng = np.random.default_rng(0)
    draws = (np.concatenate([units[j] for j in rng.integers(len(units), size=len(units))]) for _ in range(RESAMPLES))
    with np.errstate(invalid="ignore", divide="ignore"):
        values = [statistic(*(column[rows] for column in columns)) for rows in draws]
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)


def estimate(statistic: Callable[..., float], *columns: Column, clusters: Column | None = None) -> Row:
    """A value and its interval; None where it cannot be told, as a correlation with something constant."""
    with np.errstate(invalid="ignore", divide="ignore"):
        value = float(statistic(*columns)) if len(columns[0]) > 1 else np.nan
    if not np.isfinite(value):
        return {"value": None, "ci95": None}
    return {"value": value, "ci95": interval(statistic, *columns, clusters=clusters)}


def correlation(a: Column, b: Column) -> float:
    """Pearson's."""
    a, b = a - a.mean(), b - b.mean()
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def spearman(a: Column, b: Column) -> float:
    """Rank correlation."""
    return correlation(rankdata(a), rankdata(b))


def spearman_given(a: Column, b: Column, c: Column) -> float:
    """Rank correlation of a and b with that of each of them with c taken out."""
    ab, ac, bc = spearman(a, b), spearman(a, c), spearman(b, c)
    return float((ab - ac * bc) / np.sqrt((1 - ac**2) * (1 - bc**2)))


def percent(ours: Column, base: Column) -> float:
    """Mean bits as a percentage of the base model's."""
    return float(100 * ours.mean() / base.mean())


def percent_difference(ours: Column, theirs: Column, base: Column) -> float:
    """Difference of two methods' `percent`."""
    return float(100 * (ours - theirs).mean() / base.mean())


def unions(groups: Column, unseen: set[str]) -> dict[str, NDArray[np.bool_]]:
    """Masks of all queries, of those of domains that the base has seen, and of the others."""
    new = np.isin(groups, sorted(unseen))
    return {"all": np.ones(len(groups), bool), "seen": ~new, "unseen": new}


def centred_ranks(values: Column, groups: Column) -> Column:
    """Ranks within each group, as distances from the middle one."""
    ranks = np.zeros(len(values))
    for name in np.unique(groups):
        mask = groups == name
        ranks[mask] = rankdata(values[mask]) - (mask.sum() + 1) / 2
    return ranks
