"""The checks of what selectors are given, in one place."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from whet.errors import InputError
from whet.selection.arrays import Array, contiguous, namespace, to_numpy
from whet.selection.kernels import LINEAR, Kernel

# Rounding of the kernel enters the posterior variance divided by the noise. Measured on float32 unit vectors, 20 picks:
# off by 4e-7 at a noise of 0.01, 5e-6 at 0.001, 2e-4 at 0.0001. This many roundings above zero it is still sound.
MARGIN = 500.0


class Checked(NamedTuple):
    """Candidates `(K, d)`, query `(m, d)`, and the candidates' squared lengths `(K,)`."""

    candidates: Array
    targets: Array
    squared: Array


def checked_noise(noise: float) -> None:
    """Refuse a noise that is no positive number.

    Raises:
        InputError: it is zero, negative, infinite or NaN.
    """
    number = isinstance(noise, int | float | np.integer | np.floating) and not isinstance(noise, bool)
    if not (number and math.isfinite(noise) and noise > 0):
        raise InputError(f"noise={noise}: the observation noise is a positive number; the usual one is 0.01.")


def checked_vectors(
    candidates: Array, query: Array, noise: float, kernel: Kernel = LINEAR, name: str = "candidates"
) -> Checked:
    """Candidates `(K, d)` and query `(m, d)` as contiguous arrays, a single query vector made one row.

    Raises:
        InputError: wrong rank, dimension, dtype or device, nothing in it, a row that is zero or not finite, or a noise
            that drowns in the rounding of the dtype.
    """
    rows, squared = _vectors(name, candidates, zero=kernel != LINEAR)
    if isinstance(query, list | tuple):
        query = np.asarray(query)
    single = getattr(query, "ndim", 2) == 1
    targets, lengths = _vectors("query", query[None] if single else query, zero=kernel != LINEAR)
    checked_match(name, rows, "query", targets)
    limits = namespace(rows).finfo(rows.dtype)
    product = float(squared.max()) * float(lengths.max())
    if kernel == LINEAR and not float(limits.tiny) / float(limits.eps) < product < float(limits.max):
        raise InputError(
            f"{name} and query are too long or too short together for {rows.dtype}: the squares of their products are "
            f"up to {product:.1e}; divide them by their lengths, or give float64."
        )
    largest = float((squared if kernel == LINEAR else kernel.diagonal(rows)).max())
    floor = MARGIN * float(limits.eps) * largest
    if noise < floor:
        raise InputError(
            f"noise={noise} drowns in the rounding of {rows.dtype} {name} of squared norm up to {largest:.3g}: "
            f"give at least {floor:.1e}, or float64 vectors."
        )
    return Checked(rows, targets, squared)


def checked_match(name: str, rows: Array, other_name: str, others: Array) -> None:
    """Refuse two arrays of vectors that cannot be computed with together.

    Raises:
        InputError: they are of different kinds, dtypes, devices or dimensions.
    """
    if namespace(rows) is not namespace(others):
        raise InputError(
            f"{name} are a {type(rows).__name__} but {other_name} is a {type(others).__name__}: give both as one kind."
        )
    if rows.dtype != others.dtype:
        raise InputError(
            f"{name} are {rows.dtype} but {other_name} is {others.dtype}: cast one of them to the other's dtype, "
            "float64 where accuracy matters."
        )
    if rows.device != others.device:
        raise InputError(f"{name} are on {rows.device} but {other_name} is on {others.device}: move one of them.")
    if rows.shape[1] != others.shape[1]:
        raise InputError(
            f"{name} have {rows.shape[1]} dimensions but {other_name} has {others.shape[1]}: "
            "embed both with the same embedder."
        )


def checked_count(n: int, available: int | None = None) -> int:
    """The number of picks, refused below 1 or, where each candidate is taken so often at most, above those `available`.

    Raises:
        InputError: it is no whole number, or out of range.
    """
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise InputError(f"n={n!r}: the number of picks is a whole number of at least 1.")
    if available is not None and n > available:
        raise InputError(
            f"n={n} picks, but as often as each candidate may be taken there are {available}: ask for at most "
            f"{available}, or give more candidates."
        )
    return int(n)


def float_rows(name: str, values: Array) -> Array:
    """Vectors `(rows, dimensions)` in float32 or float64, contiguous.

    Raises:
        InputError: they are something else, or not finite.
    """
    return _vectors(name, values, zero=True)[0]


def _vectors(name: str, values: Array, *, zero: bool = False) -> tuple[Array, Array]:
    """The rows and their squared lengths `(rows,)`."""
    if isinstance(values, np.ma.MaskedArray):
        raise InputError(
            f"{name} are a masked array, and what the mask hides would be used: give the rows that are whole."
        )
    array: Any = np.asarray(values) if isinstance(values, list | tuple | float | np.generic) else values
    xp = namespace(array)
    if array.dtype not in (xp.float32, xp.float64):
        raise InputError(f"{name} have dtype {array.dtype}: give float32 or float64.")
    if array.ndim != 2:
        raise InputError(f"{name} have shape {tuple(array.shape)}: give one vector a row, shape (rows, dimensions).")
    if 0 in array.shape:
        raise InputError(f"{name} have shape {tuple(array.shape)}: there is nothing in them; give at least one vector.")
    array = contiguous(array if xp is np else array.detach())
    with np.errstate(over="ignore", invalid="ignore"):
        squared = xp.einsum("ij,ij->i", array, array)  # NaN, infinity and overflow all show here
    right = xp.isfinite(squared) if zero else xp.isfinite(squared) & (squared > 0)
    refuse_rows(name, array, squared, right)
    return array, squared


def refuse_rows(name: str, rows: Array, squared: Array, right: Array) -> None:
    """Refuse vectors `(p, d)` of squared lengths `(p,)` where one is not `right`.

    Raises:
        InputError: it names the first that is not.
    """
    if bool(right.all()):
        return
    row = int(np.flatnonzero(~to_numpy(right))[0])
    what = "zero, or too small to tell" if squared[row] == 0 else "not finite (NaN, infinity), or too large"
    raise InputError(
        f"row {row} of {name} is {what}: {np.array2string(to_numpy(rows[row]), threshold=6, edgeitems=2)}. "
        "Leave it out, or embed it again."
    )
