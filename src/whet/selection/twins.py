"""Candidates that are equal to the last bit: of these the first is taken, however their scores were rounded.

A matrix product rounds equal rows differently, by their place in it, and would break such ties at random.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from whet.selection.arrays import Array, FloatArray, to_numpy

_ROUNDING = {4: 1e-5, 8: 1e-12}
"""By the bytes of a number: relative difference of scores that may be rounding."""


def first_equals(candidates: Array) -> NDArray[np.int64] | None:
    """`(K,)`, for each of the rows `(K, d)` the first that equals it; None if all differ."""
    leading = to_numpy(candidates[:, 0])
    ascending = np.sort(leading)
    if (ascending[1:] != ascending[:-1]).all():
        return None
    _, first, inverse = np.unique(to_numpy(candidates), axis=0, return_index=True, return_inverse=True)
    return first[inverse.reshape(-1)] if len(first) < len(leading) else None


def lowest(first: NDArray[np.int64], scores: FloatArray, index: int) -> int:
    """The first of the candidates that equal the one at `index` and score as it does; `scores` are `(K,)`."""
    equals = np.flatnonzero(first == first[index])
    least = scores[index] - _ROUNDING[scores.itemsize] * abs(scores[index])
    return int(equals[scores[equals] >= least][0])
