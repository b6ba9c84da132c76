"""The loop of SIFT and VTL as machine code, for one query; imported where numba is installed (`whet[fast]`).

It does what `greedy` does with `Posterior`, to rounding, in a third of the time: no calls into NumPy between the picks,
and a column of the kernel is computed together with those of the next best candidates, so that the embeddings are read
a fourth as often.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from whet.selection.arrays import FloatArray

# Sums in any order and fused multiplications let the processor add eight or sixteen numbers at a time.
_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "fastmath": {"reassoc", "contract", "nsz"}}
_TOGETHER = 4


def greedy_variance(
    candidates: FloatArray,
    targets: FloatArray,
    squared: FloatArray,
    noise: FloatArray,
    left: NDArray[np.int64],
    first: NDArray[np.int64],
    n: int,
) -> tuple[NDArray[np.int64], FloatArray]:
    """Pick up to `n` candidates that most lower the targets' summed variance, each no more often than it may be.

    Args:
        candidates: `(K, d)`, contiguous.
        targets: `(m, d)`, of the same dtype.
        squared: `(K,)`, squared lengths of the candidates.
        noise: `(K,)`, λ of each candidate, of the same dtype.
        left: `(K,)`, how often each candidate may be picked.
        first: `(K,)`, the first candidate that equals each.
        n: at least 1.

    Returns:
        The picks `(p,)`, fewer than `n` if no more are allowed, and `(p, m)`: squared, what each took off a target's
        variance.
    """
    picks, effects = _loop(candidates, targets @ candidates.T, squared + noise, noise, left.copy(), first, n)
    return picks, effects


@njit(**_OPTIONS)
def _loop(
    candidates: FloatArray,
    covariance: FloatArray,
    noisy: FloatArray,
    noise: FloatArray,
    left: NDArray[np.int64],
    first: NDArray[np.int64],
    n: int,
) -> tuple[NDArray[np.int64], FloatArray]:
    size, targets = len(candidates), len(covariance)
    dtype = candidates.dtype
    factor = np.empty((n, size), dtype)
    columns = np.empty((min(size + _TOGETHER, n * _TOGETHER), size), dtype)
    place = np.full(size, -1)  # of each candidate's column
    last = np.full(size, -1)  # observation of each candidate
    scales = np.empty(n, dtype)
    picks = np.empty(n, np.int64)
    effects = np.empty((n, targets), dtype)
    gains = np.empty(size, dtype)
    column = np.empty(size, dtype)
    used = 0
    for i in range(n):
        best = _score(covariance, noisy, left, gains)
        if best < 0:
            return picks[:i], effects[:i]
        near = gains[best] * (1 - 100 * np.finfo(dtype).eps)
        for k in range(first[best], best):
            if first[k] == first[best] and gains[k] >= near:
                best = k
                break
        begin = last[best] + 1
        if begin:
            # right after its own observation k(x, ·) is L·√(k(x, x) + λ) shrunk by λ / (k(x, x) + λ)
            column[:] = factor[begin - 1] * (noise[best] / scales[begin - 1])
        else:
            if place[best] < 0:
                used = _fill(candidates, gains, best, place, columns, used)
            column[:] = columns[place[best]]
        for j in range(begin, i):
            weight = factor[j, best]
            for k in range(size):
                column[k] -= weight * factor[j, k]
        scale = np.sqrt(noisy[best])
        for k in range(size):
            factor[i, k] = column[k] / scale
            noisy[k] -= factor[i, k] * factor[i, k]
        for a in range(targets):
            effect = covariance[a, best] / scale
            effects[i, a] = effect
            for k in range(size):
                covariance[a, k] -= effect * factor[i, k]
        picks[i], last[best], scales[i] = best, i, scale
        left[best] -= 1
    return picks, effects


@njit(**_OPTIONS)
def _score(covariance: FloatArray, noisy: FloatArray, left: NDArray[np.int64], gains: FloatArray) -> int:
    """Write every candidate's gain, -1 where it may not be picked; the best, or -1 if there is none."""
    size, targets = len(noisy), len(covariance)
    gains[:] = 0
    for a in range(targets):
        for k in range(size):
            gains[k] += covariance[a, k] * covariance[a, k]
    best = -1
    for k in range(size):
        gains[k] = gains[k] / noisy[k] if left[k] > 0 else -1
        if gains[k] >= 0 and (best < 0 or gains[k] > gains[best]):
            best = k
    return best


@njit(**_OPTIONS)
def _fill(
    candidates: FloatArray,
    gains: FloatArray,
    wanted: int,
    place: NDArray[np.int64],
    columns: FloatArray,
    used: int,
) -> int:
    """Compute the columns of the wanted candidate and of the next best that have none, in one pass; places in use."""
    size = len(candidates)
    together = np.full(_TOGETHER, wanted)
    place[wanted] = used
    count = 1
    while count < _TOGETHER and used + count < len(columns):
        best = -1
        for k in range(size):
            if place[k] < 0 and gains[k] >= 0 and (best < 0 or gains[k] > gains[best]):
                best = k
        if best < 0:
            break
        together[count] = best
        place[best] = used + count
        count += 1
    block = np.empty((_TOGETHER, size), candidates.dtype)
    _products(candidates, together, block)
    columns[used : used + count] = block[:count]
    return used + count


@njit(**_OPTIONS)
def _products(candidates: FloatArray, four: NDArray[np.int64], out: FloatArray) -> None:
    """Write the inner products of four candidates with all, `(4, K)`.

    Three rows a turn: reading is what costs, and twelve sums are as many as the processor's registers hold.
    """
    size, dimensions = candidates.shape
    a, b, c, d = candidates[four[0]], candidates[four[1]], candidates[four[2]], candidates[four[3]]
    zero = candidates.dtype.type(0)
    for k in range(0, size, 3):
        second, third = min(k + 1, size - 1), min(k + 2, size - 1)
        x, y, z = candidates[k], candidates[second], candidates[third]
        x_a, x_b, x_c, x_d = zero, zero, zero, zero
        y_a, y_b, y_c, y_d = zero, zero, zero, zero
        z_a, z_b, z_c, z_d = zero, zero, zero, zero
        for t in range(dimensions):
            x_a += x[t] * a[t]
            x_b += x[t] * b[t]
            x_c += x[t] * c[t]
            x_d += x[t] * d[t]
            y_a += y[t] * a[t]
            y_b += y[t] * b[t]
            y_c += y[t] * c[t]
            y_d += y[t] * d[t]
            z_a += z[t] * a[t]
            z_b += z[t] * b[t]
            z_c += z[t] * c[t]
            z_d += z[t] * d[t]
        out[0, k], out[1, k], out[2, k], out[3, k] = x_a, x_b, x_c, x_d
        out[0, second], out[1, second], out[2, second], out[3, second] = y_a, y_b, y_c, y_d
        out[0, third], out[1, third], out[2, third], out[3, third] = z_a, z_b, z_c, z_d
