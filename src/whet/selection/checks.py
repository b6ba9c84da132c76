"""The checks of what selectors are given, in one place."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.errors import InputError
from whet.selection.base import FloatArray

# Rounding of the kernel enters the posterior variance divided by the noise. Measured on float32 unit vectors, 20 picks:
# off by 4e-7 at a noise of 0.01, 5e-6 at 0.001, 2e-4 at 0.0001. This many roundings above zero it is still sound.
MARGIN = 500.0


def checked_noise(noise: float) -> None:
    """Refuse a noise that is no positive number.

    Raises:
        InputError: it is zero, negative, infinite or NaN.
    """
    if not (math.isfinite(noise) and noise > 0):
        raise InputError(f"noise={noise}: the observation noise is a positive number; the usual one is 0.01.")


def checked_vectors(candidates: FloatArray, query: FloatArray, noise: float) -> tuple[FloatArray, FloatArray]:
    """Candidates `(K, d)` and query `(m, d)` as contiguous arrays, a single query vector made one row.

    Raises:
        InputError: wrong rank, dimension or dtype, nothing in it, a row that is zero or not finite, or a noise that
            drowns in the rounding of the dtype.
    """
    rows = _float_rows("candidates", candidates)
    query = np.asarray(query)
    targets = _float_rows("query", query[None, :] if query.ndim == 1 else query)
    if rows.dtype != targets.dtype:
        raise InputError(
            f"candidates are {rows.dtype} but query is {targets.dtype}: cast one of them with .astype, "
            "float64 where accuracy matters."
        )
    if rows.shape[1] != targets.shape[1]:
        raise InputError(
            f"candidates have {rows.shape[1]} dimensions but query has {targets.shape[1]}: "
            "embed both with the same embedder."
        )
    _squared_norms("query", targets)
    largest = float(_squared_norms("candidates", rows).max())
    floor = MARGIN * float(np.finfo(rows.dtype).eps) * largest
    if noise < floor:
        raise InputError(
            f"noise={noise} drowns in the rounding of {rows.dtype} candidates of squared norm up to {largest:.3g}: "
            f"give at least {floor:.1e}, or float64 vectors."
        )
    return rows, targets


def checked_count(n: int, available: int | None = None) -> None:
    """Refuse a number of picks below 1 or, where each candidate is taken once at most, above those `available`.

    Raises:
        InputError: it is no whole number, or out of range.
    """
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise InputError(f"n={n!r}: the number of picks is a whole number of at least 1.")
    if available is not None and n > available:
        raise InputError(
            f"n={n} picks without replacement from {available} candidates: ask for at most {available}, "
            "or give more candidates."
        )


def _float_rows(name: str, values: FloatArray) -> FloatArray:
    array: NDArray[Any] = np.asarray(values)
    if array.dtype not in (np.float32, np.float64):
        raise InputError(f"{name} have dtype {array.dtype}: give float32 or float64.")
    if array.ndim != 2:
        raise InputError(f"{name} have shape {array.shape}: give one vector a row, shape (rows, dimensions).")
    if array.size == 0:
        raise InputError(f"{name} have shape {array.shape}: there is nothing in them; give at least one vector.")
    return np.ascontiguousarray(array)


def _squared_norms(name: str, rows: FloatArray) -> FloatArray:
    with np.errstate(over="ignore", invalid="ignore"):
        squared: FloatArray = np.einsum("ij,ij->i", rows, rows)  # NaN, infinity and overflow all show here
    wrong = np.flatnonzero(~(np.isfinite(squared) & (squared > 0)))
    if len(wrong):
        row = int(wrong[0])
        what = "zero, or too small to tell" if squared[row] == 0 else "not finite (NaN, infinity), or too large"
        raise InputError(
            f"row {row} of {name} is {what}: {np.array2string(rows[row], threshold=6, edgeitems=2)}. "
            "Leave it out, or embed it again."
        )
    return squared
