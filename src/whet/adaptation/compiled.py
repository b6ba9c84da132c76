"""Products of the rows of many slots with each slot's own low-rank matrices as machine code (`whet[fast]`).

A general product of matrices loses most of its speed where one side is a rank of 8. Here four rows of a slot's matrix
go together along each row of the batch. How many rows a slot has makes no difference.

Arrays come as the addresses of their first numbers, all float32: `matrices` with an `(r, n)` a slot, each beginning
`stride` numbers after the one before; `x` and `y (rows, n)`; `inner (rows, r)`, a row beginning `step` numbers after
the one before. Slot s has the rows from `starts[s]` up to `starts[s + 1]`; a call is for the slots from `first` up to
`last`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray, njit
from numpy.typing import NDArray

from whet.models.compiled import floats

Places = NDArray[np.int64]

_OPTIONS: dict[str, Any] = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"reassoc", "contract", "nsz"},
}


@njit(**_OPTIONS)
def shrink(
    inner: int, step: int, matrices: int, stride: int, r: int, x: int, n: int, starts: Places, first: int, last: int
) -> None:
    """`inner (rows, r)`: each slot's matrix times its rows of `x (rows, n)`."""
    total = starts[-1]
    inners, xs = carray(floats(inner), (total, step)), carray(floats(x), (total, n))
    flat = carray(floats(matrices), (last - 1) * stride + r * n)
    for s in range(first, last):
        for q in range(0, r - 3, 4):
            p = s * stride + q * n
            a, b, c, d = flat[p : p + n], flat[p + n :], flat[p + 2 * n :], flat[p + 3 * n :]
            for i in range(starts[s], starts[s + 1]):
                row = xs[i]
                t, u, v, w = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
                for j in range(n):
                    t += a[j] * row[j]
                    u += b[j] * row[j]
                    v += c[j] * row[j]
                    w += d[j] * row[j]
                inners[i, q], inners[i, q + 1], inners[i, q + 2], inners[i, q + 3] = t, u, v, w
        for q in range(r - r % 4, r):
            a = flat[s * stride + q * n :]
            for i in range(starts[s], starts[s + 1]):
                row = xs[i]
                t = np.float32(0)
                for j in range(n):
                    t += a[j] * row[j]
                inners[i, q] = t


@njit(**_OPTIONS)
def expand(
    y: int,
    inner: int,
    step: int,
    matrices: int,
    stride: int,
    r: int,
    n: int,
    scale: float,
    starts: Places,
    first: int,
    last: int,
) -> None:
    """Add to `y (rows, n)`: `scale` times each row of `inner (rows, r)` times its slot's matrix."""
    total, factor = starts[-1], np.float32(scale)
    inners, ys = carray(floats(inner), (total, step)), carray(floats(y), (total, n))
    flat = carray(floats(matrices), (last - 1) * stride + r * n)
    for s in range(first, last):
        for q in range(0, r - 3, 4):
            p = s * stride + q * n
            a, b, c, d = flat[p : p + n], flat[p + n :], flat[p + 2 * n :], flat[p + 3 * n :]
            for i in range(starts[s], starts[s + 1]):
                row = ys[i]
                t, u, v, w = (
                    inners[i, q] * factor,
                    inners[i, q + 1] * factor,
                    inners[i, q + 2] * factor,
                    inners[i, q + 3] * factor,
                )
                for j in range(n):
                    row[j] += t * a[j] + u * b[j] + v * c[j] + w * d[j]
        for q in range(r - r % 4, r):
            a = flat[s * stride + q * n :]
            for i in range(starts[s], starts[s + 1]):
                row = ys[i]
                t = inners[i, q] * factor
                for j in range(n):
                    row[j] += t * a[j]


@njit(**_OPTIONS)
def outer(
    matrices: int,
    stride: int,
    r: int,
    inner: int,
    step: int,
    x: int,
    n: int,
    scale: float,
    starts: Places,
    first: int,
    last: int,
) -> None:
    """Add to each slot's matrix: `scale` times its rows of `inner (rows, r)`, turned, times those of `x (rows, n)`."""
    total, factor = starts[-1], np.float32(scale)
    inners, xs = carray(floats(inner), (total, step)), carray(floats(x), (total, n))
    flat = carray(floats(matrices), (last - 1) * stride + r * n)
    for s in range(first, last):
        begin, end = starts[s], starts[s + 1]
        even = end - (end - begin) % 4
        for q in range(0, r - 3, 4):
            p = s * stride + q * n
            a, b, c, d = flat[p : p + n], flat[p + n :], flat[p + 2 * n :], flat[p + 3 * n :]
            for i in range(begin, even, 4):
                k, h, m, o = xs[i], xs[i + 1], xs[i + 2], xs[i + 3]
                t0, t1, t2, t3 = inners[i, q], inners[i + 1, q], inners[i + 2, q], inners[i + 3, q]
                u0, u1, u2, u3 = inners[i, q + 1], inners[i + 1, q + 1], inners[i + 2, q + 1], inners[i + 3, q + 1]
                v0, v1, v2, v3 = inners[i, q + 2], inners[i + 1, q + 2], inners[i + 2, q + 2], inners[i + 3, q + 2]
                w0, w1, w2, w3 = inners[i, q + 3], inners[i + 1, q + 3], inners[i + 2, q + 3], inners[i + 3, q + 3]
                for j in range(n):
                    a[j] += factor * (t0 * k[j] + t1 * h[j] + t2 * m[j] + t3 * o[j])
                    b[j] += factor * (u0 * k[j] + u1 * h[j] + u2 * m[j] + u3 * o[j])
                    c[j] += factor * (v0 * k[j] + v1 * h[j] + v2 * m[j] + v3 * o[j])
                    d[j] += factor * (w0 * k[j] + w1 * h[j] + w2 * m[j] + w3 * o[j])
            for i in range(even, end):
                row = xs[i]
                t, u, v, w = (
                    inners[i, q] * factor,
                    inners[i, q + 1] * factor,
                    inners[i, q + 2] * factor,
                    inners[i, q + 3] * factor,
                )
                for j in range(n):
                    a[j] += t * row[j]
                    b[j] += u * row[j]
                    c[j] += v * row[j]
                    d[j] += w * row[j]
        for q in range(r - r % 4, r):
            a = flat[s * stride + q * n :]
            for i in range(begin, end):
                row = xs[i]
                t = inners[i, q] * factor
                for j in range(n):
                    a[j] += t * row[j]
