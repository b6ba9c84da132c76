"""A slow and obvious reference for the selectors, and the data that they are compared on."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

KINDS = ("cap", "clustered", "isotropic", "near-duplicates")


def reference_gains(candidates: np.ndarray, query: np.ndarray, noise: float, picks: list[int]) -> np.ndarray:
    """`(K,)` in float64: how much each candidate would lower the query's variance, by a fit to `picks` from scratch."""
    rows, targets = candidates.astype(np.float64), np.atleast_2d(query).astype(np.float64)
    seen = rows[picks]
    inverse = np.linalg.inv(seen @ seen.T + noise * np.eye(len(picks)))
    covariance = targets @ rows.T - targets @ seen.T @ inverse @ seen @ rows.T
    variance = np.square(rows).sum(axis=1) - np.einsum("ki,ij,kj->k", rows @ seen.T, inverse, rows @ seen.T)
    return np.square(covariance).sum(axis=0) / (variance + noise)


def reference_variance(candidates: np.ndarray, query: np.ndarray, noise: float, picks: list[int]) -> float:
    """Share of the query's prior variance that is left after `picks`, by a fit to them from scratch in float64."""
    targets = np.atleast_2d(query).astype(np.float64)
    seen = candidates[picks].astype(np.float64)
    kernel = seen @ seen.T + noise * np.eye(len(picks))
    explained = np.trace(targets @ seen.T @ np.linalg.solve(kernel, seen @ targets.T))
    return float(1 - explained / np.square(targets).sum())


def reference_sift(candidates: np.ndarray, query: np.ndarray, noise: float, n: int) -> list[int]:
    """The picks of SIFT, every one after a fit from scratch in float64."""
    picks: list[int] = []
    for _ in range(n):
        picks.append(int(reference_gains(candidates, query, noise, picks).argmax()))
    return picks


def unit_vectors(values: np.ndarray) -> np.ndarray:
    """The rows divided by their lengths."""
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def problem(kind: str, rows: int, dimensions: int, targets: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors in float64: candidates `(rows, dimensions)` of a kind, and a query `(targets, dimensions)`."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((rows, dimensions))
    towards = unit_vectors(rng.standard_normal((1, dimensions)))
    query = unit_vectors(towards + 0.3 * rng.standard_normal((targets, dimensions)) / np.sqrt(dimensions))
    if kind == "cap":
        candidates = unit_vectors(noise) + 0.8 * towards
    elif kind == "clustered":
        centres = unit_vectors(rng.standard_normal((8, dimensions))) + 0.5 * towards
        candidates = centres[rng.integers(8, size=rows)] + 0.3 * unit_vectors(noise)
    elif kind == "isotropic":
        candidates = noise
    else:
        originals = unit_vectors(rng.standard_normal((max(rows // 5, 1), dimensions))) + 0.5 * towards
        candidates = originals[rng.integers(len(originals), size=rows)] + 0.01 * unit_vectors(noise)
    return unit_vectors(candidates), query


@dataclass(frozen=True)
class Rbf:
    """A kernel as a user would write it: exp(-|a - b|² / 2 w²), for NumPy and for torch."""

    width: float = 1.0

    def __call__(self, a: Any, b: Any, /) -> Any:
        squared = (a * a).sum(-1)[..., :, None] + (b * b).sum(-1)[..., None, :] - 2 * (a @ b.mT)
        return (np if isinstance(a, np.ndarray) else sys.modules["torch"]).exp(-squared / (2 * self.width**2))

    def diagonal(self, a: Any, /) -> Any:
        return a[..., 0] * 0 + 1


def conditioned(prior: np.ndarray, observed: list[int], noise: np.ndarray) -> np.ndarray:
    """A covariance `(p, p)` after noisy observations, by one fit to all of them; rows may come more than once."""
    if not observed:
        return prior
    across = prior[:, observed]
    return prior - across @ np.linalg.solve(prior[np.ix_(observed, observed)] + np.diag(noise), across.T)


def same_choice(one: Any, other: Any) -> bool:
    """Whether two choices are equal bit for bit."""
    arrays = all(np.array_equal(getattr(one, n), getattr(other, n)) for n in ("indices", "variances", "gains"))
    return arrays and (one.stopped, one.exhausted) == (other.stopped, other.exhausted)
