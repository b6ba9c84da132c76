"""Which observation noise λ to choose with, by what was measured."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whet.errors import InputError
from whet.selection.arrays import Array, to_numpy
from whet.selection.checks import checked_noise, float_rows
from whet.selection.kernels import LINEAR, Kernel
from whet.selection.random import generator

NOISES = tuple(np.logspace(-3, 1, 41).tolist())
"""From 0.001 to 10, ten a decade."""

WITHIN = 1.92
"""Nats of log evidence: half the 95 % quantile of χ² with one degree of freedom."""

RESAMPLES = 1000
"""Of the bootstrap."""


@dataclass(frozen=True, eq=False)
class NoiseSuggestion:
    """The noises that were tried, how each did, and which did best.

    Attributes:
        noise: λ of the best score; the first of equal ones.
        noises: `(L,)`, what was tried, in the order given.
        scores: `(L,)`, log evidence in nats, or mean gain; larger is better.
        plausible: `(L,)`, which are not clearly worse than the best, the best included. If they are many, the optimum
            is flat and the choice matters little, or too little was measured.
        lead: score of the best minus that of the runner-up.
        lead_ci95: 95 % bootstrap interval of `lead`, where it is a mean over queries.
    """

    noise: float
    noises: NDArray[np.float64]
    scores: NDArray[np.float64]
    plausible: NDArray[np.bool_]
    lead: float
    lead_ci95: tuple[float, float] | None = None

    @property
    def at_edge(self) -> bool:
        """Whether the best is the smallest or largest that was tried: a better one may lie beyond."""
        return self.noise in (self.noises.min(), self.noises.max())

    def __str__(self) -> str:
        flat = self.noises[self.plausible]
        edge = "; it is at the edge of what was tried, try further" if self.at_edge else ""
        ahead = "" if self.lead_ci95 is None else f" [{self.lead_ci95[0]:.3g}, {self.lead_ci95[1]:.3g}]"
        return (
            f"noise {self.noise:.3g}, ahead of the next by {self.lead:.3g}{ahead}; "
            f"{len(flat)} of {len(self.noises)} from {flat.min():.3g} to {flat.max():.3g} are not clearly worse{edge}"
        )


def suggest_noise(
    inputs: Array,
    values: ArrayLike,
    *,
    noises: ArrayLike = NOISES,
    scale: float | None = None,
    kernel: Kernel = LINEAR,
) -> NoiseSuggestion:
    """The noise under which the surrogate would most probably have produced observed values.

    y ~ N(0, s (K + λ I)) with K = k(X, X). A selector's λ is noise as a share of the kernel, whatever the unit of y, so
    the scale s is found rather than assumed: for each λ the best one is s = yᵀ (K + λ I)⁻¹ y / n, which leaves
    log p = −½ (n log(2π e s) + log det(K + λ I)). With a scale of 1 it is `BayesianLinear.log_evidence`. One
    eigendecomposition serves all noises: O(n³ + n L).

    Those within 1.92 nats of the best are plausible: the 95 % likelihood-ratio interval. The surrogate's mean is 0, so
    take the mean off values that have one. A noise that explains the values best need not choose best; where gains can
    be measured, `suggest_noise_from_gains` asks what matters.

    Source: Rasmussen and Williams 2006, eq. 2.30 and section 5.4.1.

    Args:
        inputs: `(n, d)`, n ≥ 2, embeddings, float32 or float64; computed in float64 on the CPU.
        values: `(n,)`, what was observed there, such as the measured gain of each.
        noises: `(L,)`, λ to try, positive, at least two.
        scale: s > 0, variance of f in units of the kernel; the most probable unless given.
        kernel: k.

    Raises:
        InputError: an argument is of the wrong shape, not finite or out of range, or all values are 0.

    >>> rng = np.random.default_rng(0)
    >>> inputs = rng.standard_normal((400, 100))
    >>> values = inputs @ rng.standard_normal(100) + np.sqrt(0.5) * rng.standard_normal(400)
    >>> round(suggest_noise(inputs, values).noise, 2)
    0.5
    """
    grid = _grid(noises)
    rows = to_numpy(float_rows("inputs", inputs)).astype(np.float64)
    y = np.asarray(values, dtype=np.float64)
    if y.shape != (len(rows),) or len(y) < 2:
        raise InputError(
            f"values have shape {y.shape} for {len(rows)} inputs: give one for each, of at least two inputs."
        )
    if not (np.isfinite(y).all() and y.any()):
        raise InputError("values are all 0, or not finite (NaN, infinity): leave those out, or give others.")
    if scale is not None and not (math.isfinite(scale) and scale > 0):
        raise InputError(f"scale={scale}: give a positive number, or None to find the most probable.")
    eigenvalues, vectors = np.linalg.eigh(kernel(rows, rows))
    spectrum = eigenvalues.clip(min=0)[:, None] + grid  # (n, L); rounding may take an eigenvalue below 0
    quadratic = (np.square(y @ vectors)[:, None] / spectrum).sum(axis=0)
    scales = quadratic / len(y) if scale is None else np.full(len(grid), scale)
    log_det = np.log(spectrum).sum(axis=0)
    scores = -(len(y) * np.log(2 * math.pi * scales) + log_det + quadratic / scales) / 2
    best, second = _first_two(scores)
    return NoiseSuggestion(
        float(grid[best]), grid, scores, scores >= scores[best] - WITHIN, float(scores[best] - scores[second])
    )


def suggest_noise_from_gains(gains: ArrayLike, noises: ArrayLike, *, seed: int = 0) -> NoiseSuggestion:
    """The noise with which training gained most on held-out queries, on average.

    No noise is preferred for its size: that two cannot be told apart from few queries does not make them equal, and a
    rule that leans to large noises would then end at the largest tried, which repeats the nearest example. A noise is
    plausible if the 95 % bootstrap interval (percentile, resampling queries) of how far it is behind the best reaches
    0. The best was picked for its mean, so its lead is somewhat flattered.

    Args:
        gains: `(q, L)`, q ≥ 2, what training brought each query with the picks of each noise; larger is better.
        noises: `(L,)`, λ of each column, positive, at least two.
        seed: of the bootstrap.

    Raises:
        InputError: an argument is of the wrong shape, not finite or out of range.

    >>> suggestion = suggest_noise_from_gains([[0.1, 0.3, 0.2], [0.2, 0.5, 0.2], [0.1, 0.2, 0.2]], [0.01, 0.1, 1.0])
    >>> suggestion.noise, suggestion.plausible.tolist()
    (0.1, [False, True, True])
    """
    grid = _grid(noises)
    measured = np.asarray(gains, dtype=np.float64)
    if measured.ndim != 2 or len(measured) < 2 or measured.shape[1] != len(grid):
        raise InputError(
            f"gains have shape {measured.shape} for {len(grid)} noises: give at least two queries, one a row, and a "
            "column for each noise."
        )
    if not np.isfinite(measured).all():
        raise InputError("gains hold a number that is not finite (NaN, infinity): leave that query out.")
    scores = measured.mean(axis=0)
    best, second = _first_two(scores)
    behind = measured[:, [best]] - measured  # (q, L)
    rng = generator(seed, measured)
    draws = (rng.integers(len(behind), size=len(behind)) for _ in range(RESAMPLES))
    low, high = np.quantile([behind[rows].mean(axis=0) for rows in draws], [0.025, 0.975], axis=0)
    return NoiseSuggestion(
        noise=float(grid[best]),
        noises=grid,
        scores=scores,
        plausible=low <= 0,
        lead=float(behind[:, second].mean()),
        lead_ci95=(float(low[second]), float(high[second])),
    )


def _grid(noises: ArrayLike) -> NDArray[np.float64]:
    grid = np.asarray(noises, dtype=np.float64)
    if grid.ndim != 1 or len(grid) < 2 or len(np.unique(grid)) < len(grid):
        raise InputError(f"noises={grid.tolist()}: give at least two different noises to choose from.")
    for noise in grid.tolist():
        checked_noise(noise)
    return grid


def _first_two(scores: NDArray[np.float64]) -> tuple[int, int]:
    """Places of the best score and the next; the first of equal ones."""
    best, second = np.argsort(-scores, kind="stable")[:2].tolist()
    return best, second
