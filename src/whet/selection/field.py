"""Greedy choice among very many rows: what is kept of each row while picks are made, and of the picks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from whet.selection.arrays import FloatArray

ACTIVE_SHARE, LEAST_ACTIVE = 32, 1000
"""The next picks are guessed among one row in so many, and at least this many: more cost more, fewer guess worse."""
MOST_NEAR = 1024
"""Rows within rounding of the best that are compared in float64."""
SMALL_PRODUCT = 960_000
"""OpenBLAS reads the factors of a product in place, not copied, up to a million multiplications."""


class Step(NamedTuple):
    """A pick: `direction` g `(d,)`, ⟨g, ·⟩ = k_n(x, ·) / √(k_n(x, x) + λ), and `effect` `(m,)`, this at the targets."""

    row: int
    direction: NDArray[np.float64]
    effect: NDArray[np.float64]


class Path:
    """The picks so far, and what they tell about any vector, in float64; has room for `n`."""

    def __init__(self, targets: FloatArray, noise: float, n: int) -> None:
        self.targets, self.noise, self.n = targets.astype(np.float64), noise, n
        self.count = 0
        self.rows, self.directions = np.empty(n, np.int64), np.empty((n, targets.shape[1]))
        self.effects = np.empty((n, len(targets)))

    def take(self, step: Step) -> None:
        """One more pick."""
        self.rows[self.count], self.directions[self.count], self.effects[self.count] = step
        self.count += 1

    def gains(self, vectors: FloatArray, count: int) -> NDArray[np.float64]:
        """`(p,)`, by how much observing each vector `(p, d)` after `count` picks lowers the summed variance."""
        covariance, noisy, _ = self._after(vectors, count)
        return np.asarray(np.square(covariance).sum(axis=0) / noisy)

    def step(self, row: int, vector: FloatArray) -> Step:
        """The observation of a vector `(d,)`, now."""
        covariance, noisy, seen = self._after(vector[None], self.count)
        scale = np.sqrt(noisy[0])
        return Step(row, (vector - seen[:, 0] @ self.directions[: self.count]) / scale, covariance[:, 0] / scale)

    def _after(self, vectors: FloatArray, count: int) -> tuple[NDArray[np.float64], ...]:
        """k between targets and vectors `(m, p)`, k(x, x) + λ `(p,)`, and products with the directions `(count, p)`.

        `einsum` sums equal rows alike wherever they stand, so that copies tie exactly; a matrix product need not.
        """
        exact = vectors.astype(np.float64)
        seen = np.einsum("id,pd->ip", self.directions[:count], exact)
        covariance = np.einsum("ad,pd->ap", self.targets, exact) - np.einsum("ia,ip->ap", self.effects[:count], seen)
        noisy = np.einsum("pd,pd->p", exact, exact) + self.noise - np.einsum("ip,ip->p", seen, seen)
        return covariance, noisy, seen


@dataclass(eq=False)
class Field:
    """What the picks so far leave of rows, in their dtype.

    Attributes:
        vectors: `(R, d)`.
        rows: `(R,)`, their numbers in the whole matrix, ascending.
        covariance: `(m, R)`, k between targets and rows.
        noisy: `(R,)`, k(x, x) + λ of every row.
        rounding: how far a covariance and a variance may be off.
        replace: whether a row may be picked again.
        barred: places that may not be picked.
    """

    vectors: FloatArray
    rows: NDArray[np.int64]
    covariance: FloatArray
    noisy: FloatArray
    rounding: tuple[float, float]
    replace: bool
    barred: NDArray[np.int64]

    def __post_init__(self) -> None:
        self._gains, self._scratch = np.empty_like(self.noisy), np.empty_like(self.noisy)

    def gains(self) -> FloatArray:
        """`(R,)`, by how much observing each row lowers the summed variance; -1 if barred. The next call overwrites."""
        gains, scratch = self._gains, self._scratch
        np.multiply(self.covariance[0], self.covariance[0], out=gains)
        for row in self.covariance[1:]:
            np.add(gains, np.multiply(row, row, out=scratch), out=gains)
        np.divide(gains, self.noisy, out=gains)
        gains[self.barred] = -1
        return gains

    def best(self, path: Path) -> Step:
        """The row of the largest gain."""
        gains = self.gains()
        largest = float(gains.max())
        of_covariance, of_variance = self.rounding
        off = 2 * of_covariance * np.sqrt(largest / path.noise) + of_variance * largest / path.noise
        near = np.flatnonzero(gains >= max(largest - 2 * off, 0))
        if len(near) > MOST_NEAR:
            near = np.sort(near[np.argsort(-gains[near], kind="stable")[:MOST_NEAR]])
        place = near[path.gains(self.vectors[near], path.count).argmax() if len(near) > 1 else 0]
        return path.step(int(self.rows[place]), self.vectors[place])

    def observe(self, step: Step, path: Path) -> None:  # noqa: ARG002
        """Take account of the last pick."""
        self.update(step.row, step.effect, self.vectors @ step.direction.astype(self.vectors.dtype))

    def update(self, row: int, effect: NDArray[np.float64], column: FloatArray) -> None:
        """Take account of a pick whose direction has the inner products `column` `(R,)` with the rows."""
        for covariance, a in zip(self.covariance, effect.astype(column.dtype), strict=True):
            np.subtract(covariance, np.multiply(column, a, out=self._scratch), out=covariance)
        np.subtract(self.noisy, np.multiply(column, column, out=self._scratch), out=self.noisy)
        if not self.replace:
            self.barred = np.concatenate([self.barred, np.flatnonzero(self.rows == row)])

    def most_telling(self, least: int) -> Field:
        """The few rows of the largest gains now, `least` or more if there are, as a field of their own."""
        gains = self.gains()
        size = max(len(gains) // ACTIVE_SHARE, LEAST_ACTIVE, least)
        top = np.argpartition(-gains, size)[:size] if size < len(gains) else np.arange(len(gains))
        return self.part(np.sort(top[gains[top] >= 0]), np.empty(0, np.int64))

    def part(self, places: NDArray[np.int64] | slice, barred: NDArray[np.int64]) -> Field:
        """Some of the rows; a slice of them shares their state."""
        vectors, rows, noisy = self.vectors[places], self.rows[places], self.noisy[places]
        return Field(vectors, rows, self.covariance[:, places], noisy, self.rounding, self.replace, barred)


def products(vectors: FloatArray, directions: NDArray[np.float64]) -> FloatArray:
    """`(s, R)`, inner products of the rows `(R, d)` with directions `(s, d)`."""
    right = np.ascontiguousarray(directions.T, dtype=vectors.dtype)
    columns = np.empty((len(directions), len(vectors)), vectors.dtype)
    size = max(SMALL_PRODUCT // max(right.size, 1), 1)
    for start in range(0, len(vectors), size):
        columns[:, start : start + size] = (vectors[start : start + size] @ right).T
    return columns
