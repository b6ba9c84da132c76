"""Products of the rows of many slots with each slot's own low-rank matrices as machine code (`whet[fast]`).

A general product of matrices loses most of its speed where one side is a rank of 8. Here four rows of a slot's matrix
go together along each row of the batch. How many rows a slot has makes no difference.

`matrices` is what lies in memory from the first number of the first slot's matrix to the last of the last one's, a slot
beginning `stride` numbers after the one before; each is `(r, n)`. The slots from `first` up to `last` are looked at;
slot s has the rows from `starts[s]` up to `starts[s + 1]`. All numbers are float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Places = NDArray[np.int64]

_OPTIONS: dict[str, Any] = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"reassoc", "contract", "nsz"},
}


@njit(**_OPTIONS)
def shrink(
    inner: Floats, matrices: Floats, stride: int, r: int, x: Floats, starts: Places, first: int, last: int
) -> None:
    """`inner (rows, r)`: each slot's matrix times its rows of `x (rows, n)`."""
    n = x.shape[1]
    for s in range(first, last):
        for q in range(0, r - 3, 4):
            p = s * stride + q * n
            a, b, c, d = matrices[p : p + n], matrices[p + n :], matrices[p + 2 * n :], matrices[p + 3 * n :]
            for i in range(starts[s], starts[s + 1]):
                row = x[i]
                t, u, v, w = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
                for j in range(n):
                    t += a[j] * row[j]
                    u += b[j] * row[j]
                    v += c[j] * row[j]
                    w += d[j] * row[j]
                inner[i, q], inner[i, q + 1], inner[i, q + 2], inner[i, q + 3] = t, u, v, w
        for q in range(r - r % 4, r):
            a = matrices[s * stride + q * n :]
            for i in range(starts[s], starts[s + 1]):
                row = x[i]
                t = np.float32(0)
                for j in range(n):
                    t += a[j] * row[j]
                inner[i, q] = t


@njit(**_OPTIONS)
def expand(
    y: Floats,
    inner: Floats,
    matrices: Floats,
    stride: int,
    r: int,
    scale: np.float32,
    starts: Places,
    first: int,
    last: int,
) -> None:
    """Add to `y (rows, n)`: `scale` times each row of `inner (rows, r)` times its slot's matrix."""
    n = y.shape[1]
    for s in range(first, last):
        for q in range(0, r - 3, 4):
            p = s * stride + q * n
            a, b, c, d = matrices[p : p + n], matrices[p + n :], matrices[p + 2 * n :], matrices[p + 3 * n :]
            for i in range(starts[s], starts[s + 1]):
                row = y[i]
                t, u, v, w = (
                    inner[i, q] * scale,
                    inner[i, q + 1] * scale,
                    inner[i, q + 2] * scale,
                    inner[i, q + 3] * scale,
                )
                for j in range(n):
                    row[j] += t * a[j] + u * b[j] + v * c[j] + w * d[j]
        for q in range(r - r % 4, r):
            a = matrices[s * stride + q * n :]
            for i in range(starts[s], starts[s + 1]):
                row = y[i]
                t = inner[i, q] * scale
                for j in range(n):
                    row[j] += t * a[j]


@njit(**_OPTIONS)
def outer(
    matrices: Floats,
    stride: int,
    r: int,
    inner: Floats,
    x: Floats,
    scale: np.float32,
    starts: Places,
    first: int,
    last: int,
) -> None:
    """Add to each slot's matrix: `scale` times its rows of `inner (rows, r)`, turned, times those of `x (rows, n)`."""
    n = x.shape[1]
    for s in range(first, last):
        begin, end = starts[s], starts[s + 1]
        even = end - (end - begin) % 4
        for q in range(0, r - 3, 4):
            p = s * stride + q * n
            a, b, c, d = matrices[p : p + n], matrices[p + n :], matrices[p + 2 * n :], matrices[p + 3 * n :]
            for i in range(begin, even, 4):
                k, h, m, o = x[i], x[i + 1], x[i + 2], x[i + 3]
                t0, t1, t2, t3 = inner[i, q], inner[i + 1, q], inner[i + 2, q], inner[i + 3, q]
                u0, u1, u2, u3 = inner[i, q + 1], inner[i + 1, q + 1], inner[i + 2, q + 1], inner[i + 3, q + 1]
                v0, v1, v2, v3 = inner[i, q + 2], inner[i + 1, q + 2], inner[i + 2, q + 2], inner[i + 3, q + 2]
                w0, w1, w2, w3 = inner[i, q + 3], inner[i + 1, q + 3], inner[i + 2, q + 3], inner[i + 3, q + 3]
                for j in range(n):
                    a[j] += scale * (t0 * k[j] + t1 * h[j] + t2 * m[j] + t3 * o[j])
                    b[j] += scale * (u0 * k[j] + u1 * h[j] + u2 * m[j] + u3 * o[j])
                    c[j] += scale * (v0 * k[j] + v1 * h[j] + v2 * m[j] + v3 * o[j])
                    d[j] += scale * (w0 * k[j] + w1 * h[j] + w2 * m[j] + w3 * o[j])
            for i in range(even, end):
                row = x[i]
                t, u, v, w = (
                    inner[i, q] * scale,
                    inner[i, q + 1] * scale,
                    inner[i, q + 2] * scale,
                    inner[i, q + 3] * scale,
                )
                for j in range(n):
                    a[j] += t * row[j]
                    b[j] += u * row[j]
                    c[j] += v * row[j]
                    d[j] += w * row[j]
        for q in range(r - r % 4, r):
            a = matrices[s * stride + q * n :]
            for i in range(begin, end):
                row = x[i]
                t = inner[i, q] * scale
                for j in range(n):
                    a[j] += t * row[j]
