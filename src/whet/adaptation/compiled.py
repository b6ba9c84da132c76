"""Products of the rows of many slots with each slot's own low-rank matrices as machine code (`whet[fast]`).

A general product of matrices loses much of its speed where one side is a rank of 8, and wants slots of equally many
rows; here they may have any number. `whet.models.tiles` makes many numbers of 8, and sums of outer products; where many
numbers come to 8, four rows of a slot's matrix go together along four rows of the batch.

Arrays come as the addresses of their first numbers, all float32: `matrices` with an `(r, n)` a slot, each beginning
`stride` numbers after the one before; `x` and `y (rows, n)`; `inner (rows, r)`, a row beginning `step` numbers after
the one before. Slot s has the rows from `starts[s]` up to `starts[s + 1]`; a call is for the slots from `first` up to
`last`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import carray, njit
from numpy.typing import NDArray

from whet.models.machine import floats, integers
from whet.models.panels import BLOCK, block, product, room_of
from whet.models.tiles import ROWS, multiply

Places = NDArray[np.int64]
TOGETHER = 4
"""Rows of a slot that go together, counted from its first."""

_TERMS = 16
"""Rows of a batch that are added up before they are added to a slot's matrix."""
_OPTIONS: dict[str, Any] = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"reassoc", "contract", "nsz"},
}


class Layer(NamedTuple):
    """A frozen matrix with its low-rank change, as `linears` and the like read it: int64 each, addresses for arrays."""

    y: int
    """What it makes of the rows, `(rows, columns)`."""
    columns: int
    panels: int
    """Of the matrix, see `whet.models.panels`."""
    low: int
    """1 if these are in bfloat16, else 0."""
    add: int
    """1 to add to `y`, else 0."""
    rank: int
    b: int
    """`(rank, columns)` a slot."""
    b_stride: int
    d_a: int = 0
    """Gradient with respect to its part of `a`, which is added to."""
    d_a_stride: int = 0
    d_b: int = 0
    d_b_stride: int = 0


LAYER = len(Layer._fields)
_Y, _COLUMNS, _PANELS, _LOW, _ADD, _RANK, _B, _B_STRIDE, _D_A, _D_A_STRIDE, _D_B, _D_B_STRIDE = range(LAYER)


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
    for s in range(first, last):
        _expand(y, inner, step, matrices + 4 * s * stride, r, n, scale, starts[s], starts[s + 1])


@njit(**_OPTIONS)
def _expand(y: int, inner: int, step: int, matrix: int, r: int, n: int, scale: float, begin: int, end: int) -> None:
    for i in range(begin, end, ROWS):  # row after row, as they lie in memory
        rows = min(ROWS, end - i)
        multiply(y + 4 * i * n, n, inner + 4 * i * step, step, 1, matrix, n, rows, n, r, scale, 1)


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
    for s in range(first, last):
        own, end = matrices + 4 * s * stride, starts[s + 1]
        for i in range(starts[s], end, _TERMS):
            terms = min(_TERMS, end - i)
            multiply(own, n, inner + 4 * i * step, 1, step, x + 4 * i * n, n, r, n, terms, scale, 1)


@njit(**_OPTIONS)
def linears(
    x: int,
    terms: int,
    inner: int,
    r: int,
    a: int,
    stride: int,
    table: int,
    layers: int,
    scale: float,
    starts: Places,
    first: int,
    last: int,
) -> None:
    """What frozen matrices make of the rows of `x`, each with its low-rank change.

    Args:
        x: `(rows, terms)`.
        terms: numbers in a row.
        inner: `(rows, r)`, written: what all layers' low-rank matrices for `x` make of it, side by side.
        r: ranks of all layers together.
        a: these matrices under each other, `(r, terms)` a slot.
        stride: of `a`.
        table: `(layers, LAYER)`, see `Layer`; `y` is written, or added to.
        layers: how many.
        scale: of the change.
        starts: of the slots' rows.
        first: slot.
        last: slot.
    """
    shrink(inner, r, a, stride, r, x, terms, starts, first, last)
    all_layers, own = carray(integers(table), (layers, LAYER)), inner
    for layer in all_layers:
        _changed(
            layer[_Y],
            x,
            layer[_PANELS],
            terms,
            layer[_COLUMNS],
            layer[_ADD],
            layer[_LOW],
            own,
            r,
            layer[_B],
            layer[_B_STRIDE],
            layer[_RANK],
            scale,
            starts,
            first,
            last,
        )
        own += 4 * layer[_RANK]


@njit(**_OPTIONS)
def linears_back(
    d_x: int,
    terms: int,
    d_inner: int,
    r: int,
    a: int,
    stride: int,
    table: int,
    layers: int,
    scale: float,
    starts: Places,
    first: int,
    last: int,
) -> None:
    """The gradients of `linears` with respect to `inner`, `d_inner (rows, r)`, and `x`, `d_x (rows, terms)` if not 0.

    In the table `y` is its gradient, and the panels are those of the matrices turned.
    """
    all_layers, own = carray(integers(table), (layers, LAYER)), d_inner
    for layer in all_layers:
        shrink(own, r, layer[_B], layer[_B_STRIDE], layer[_RANK], layer[_Y], layer[_COLUMNS], starts, first, last)
        own += 4 * layer[_RANK]
    if d_x == 0:
        return
    for k in range(layers - 1):
        layer, adds = all_layers[k], int(k > 0)
        begin, end = starts[first], starts[last]
        product(d_x, layer[_Y], layer[_PANELS], layer[_COLUMNS], terms, adds, layer[_LOW], begin, end)
    layer, adds = all_layers[layers - 1], int(layers > 1)
    panels, columns, low = layer[_PANELS], layer[_COLUMNS], layer[_LOW]
    _changed(d_x, layer[_Y], panels, columns, terms, adds, low, d_inner, r, a, stride, r, scale, starts, first, last)


@njit(**_OPTIONS)
def linears_outer(
    x: int,
    terms: int,
    inner: int,
    d_inner: int,
    r: int,
    table: int,
    layers: int,
    scale: float,
    starts: Places,
    first: int,
    last: int,
) -> None:
    """Add the gradients of `linears` with respect to the low-rank matrices; the table is that of `linears_back`."""
    at = 0
    for layer in carray(integers(table), (layers, LAYER)):
        rank, y, columns = layer[_RANK], layer[_Y], layer[_COLUMNS]
        outer(layer[_D_B], layer[_D_B_STRIDE], rank, inner + at, r, y, columns, scale, starts, first, last)
        outer(layer[_D_A], layer[_D_A_STRIDE], rank, d_inner + at, r, x, terms, scale, starts, first, last)
        at += 4 * rank


@njit(**_OPTIONS)
def _changed(
    y: int,
    x: int,
    panels: int,
    terms: int,
    n: int,
    add: int,
    low: int,
    inner: int,
    step: int,
    matrices: int,
    stride: int,
    r: int,
    scale: float,
    starts: Places,
    first: int,
    last: int,
) -> None:
    """`panels.product` and then `expand`, some rows at a time: so what is changed is still in the cache."""
    s, room = first, room_of(terms, low)
    for i in range(starts[first], starts[last], BLOCK):
        end = min(i + BLOCK, starts[last])
        block(y, x, panels, terms, n, add, low, room.ctypes.data, i, end - i, int(i == starts[first]))
        begin = i
        while begin < end:
            while starts[s + 1] <= begin:
                s += 1
            upto = min(end, starts[s + 1])
            _expand(y, inner, step, matrices + 4 * s * stride, r, n, scale, begin, upto)
            begin = upto
    room[0] = 0  # until here its memory is in use
