"""Products of the rows of many slots with each slot's own low-rank matrices as machine code (`whet[fast]`).

A general product of matrices loses much of its speed where one side is a rank of 8. Here four rows of a slot's matrix
go together along four rows of the batch, so that each number that is read is used four times. Slots may have any
numbers of rows.

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
TOGETHER = 4
"""Rows of a slot that go together, counted from its first."""

_OPTIONS: dict[str, Any] = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"reassoc", "contract", "nsz"},
}


@njit(inline="always", **_OPTIONS)
def _four(row: Any, q: int, factor: Any) -> Any:
    """Four numbers of a row from `q` on, times a factor."""
    return row[q] * factor, row[q + 1] * factor, row[q + 2] * factor, row[q + 3] * factor


@njit(**_OPTIONS)
def shrink(
    inner: int, step: int, matrices: int, stride: int, r: int, x: int, n: int, starts: Places, first: int, last: int
) -> None:
    """`inner (rows, r)`: each slot's matrix times its rows of `x (rows, n)`."""
    total = starts[-1]
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
                t0 = t1 = t2 = t3 = u0 = u1 = u2 = u3 = v0 = v1 = v2 = v3 = w0 = w1 = w2 = w3 = np.float32(0)
                for j in range(n):
                    kj, hj, mj, oj = k[j], h[j], m[j], o[j]
                    t0, t1, t2, t3 = t0 + a[j] * kj, t1 + a[j] * hj, t2 + a[j] * mj, t3 + a[j] * oj
                    u0, u1, u2, u3 = u0 + b[j] * kj, u1 + b[j] * hj, u2 + b[j] * mj, u3 + b[j] * oj
                    v0, v1, v2, v3 = v0 + c[j] * kj, v1 + c[j] * hj, v2 + c[j] * mj, v3 + c[j] * oj
                    w0, w1, w2, w3 = w0 + d[j] * kj, w1 + d[j] * hj, w2 + d[j] * mj, w3 + d[j] * oj
                inners[i, q], inners[i + 1, q], inners[i + 2, q], inners[i + 3, q] = t0, t1, t2, t3
                inners[i, q + 1], inners[i + 1, q + 1], inners[i + 2, q + 1], inners[i + 3, q + 1] = u0, u1, u2, u3
                inners[i, q + 2], inners[i + 1, q + 2], inners[i + 2, q + 2], inners[i + 3, q + 2] = v0, v1, v2, v3
                inners[i, q + 3], inners[i + 1, q + 3], inners[i + 2, q + 3], inners[i + 3, q + 3] = w0, w1, w2, w3
            for i in range(even, end):
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
            for i in range(begin, end):
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
        begin, end = starts[s], starts[s + 1]
        even = end - (end - begin) % 4
        for i in range(begin, even, 4):
            k, h, m, o = ys[i], ys[i + 1], ys[i + 2], ys[i + 3]
            for q in range(0, r - 3, 4):
                p = s * stride + q * n
                a, b, c, d = flat[p : p + n], flat[p + n :], flat[p + 2 * n :], flat[p + 3 * n :]
                t0, u0, v0, w0 = _four(inners[i], q, factor)
                t1, u1, v1, w1 = _four(inners[i + 1], q, factor)
                t2, u2, v2, w2 = _four(inners[i + 2], q, factor)
                t3, u3, v3, w3 = _four(inners[i + 3], q, factor)
                for j in range(n):
                    aj, bj, cj, dj = a[j], b[j], c[j], d[j]
                    k[j] += t0 * aj + u0 * bj + v0 * cj + w0 * dj
                    h[j] += t1 * aj + u1 * bj + v1 * cj + w1 * dj
                    m[j] += t2 * aj + u2 * bj + v2 * cj + w2 * dj
                    o[j] += t3 * aj + u3 * bj + v3 * cj + w3 * dj
        for i in range(even, end):
            row = ys[i]
            for q in range(0, r - 3, 4):
                p = s * stride + q * n
                a, b, c, d = flat[p : p + n], flat[p + n :], flat[p + 2 * n :], flat[p + 3 * n :]
                t, u, v, w = _four(inners[i], q, factor)
                for j in range(n):
                    row[j] += t * a[j] + u * b[j] + v * c[j] + w * d[j]
        for q in range(r - r % 4, r):
            a = flat[s * stride + q * n :]
            for i in range(begin, end):
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
                t0, u0, v0, w0 = _four(inners[i], q, factor)
                t1, u1, v1, w1 = _four(inners[i + 1], q, factor)
                t2, u2, v2, w2 = _four(inners[i + 2], q, factor)
                t3, u3, v3, w3 = _four(inners[i + 3], q, factor)
                for j in range(n):
                    kj, hj, mj, oj = k[j], h[j], m[j], o[j]
                    a[j] += t0 * kj + t1 * hj + t2 * mj + t3 * oj
                    b[j] += u0 * kj + u1 * hj + u2 * mj + u3 * oj
                    c[j] += v0 * kj + v1 * hj + v2 * mj + v3 * oj
                    d[j] += w0 * kj + w1 * hj + w2 * mj + w3 * oj
            for i in range(even, end):
                row = xs[i]
                t, u, v, w = _four(inners[i], q, factor)
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
