"""Elementwise parts of transformer blocks as machine code; imported where numba is installed (`whet[fast]`).

torch makes a sweep over memory of each operation, and on a processor these sweeps take as long as the products between
them. Here each part is one sweep. Arrays come as the addresses of their first numbers, for to make NumPy arrays of them
takes longer than many a sweep; all are contiguous and float32 unless said otherwise. A call is for the rows (along the
first axis) from `first` up to `last`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, njit, types
from numba.extending import intrinsic

from whet.models.machine import OPTIONS, floats, integers
from whet.models.softmax import largest, shares_of_e

_ONE, _HALF = np.float32(1), np.float32(0.5)


@intrinsic
def _as_float(_: Any, bits: Any) -> Any:  # noqa: ARG001
    """The float32 that has these bits."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), generate


@njit(inline="always", **OPTIONS)
def exp(x: Any) -> Any:
    """e^x to three units in the last place, without a branch; NaN stays NaN.

    2^n times a polynomial on the rest, with the coefficients of Cephes (Moshier 1984, expf).
    """
    # comparisons that NaN fails leave it as it is
    bounded = np.float32(-87) if x < np.float32(-87) else x
    bounded = np.float32(88) if bounded > np.float32(88) else bounded
    n = np.floor(bounded * np.float32(1.4426950408889634) + _HALF)
    f = bounded - n * np.float32(0.693359375)
    f = f - n * np.float32(-2.12194440e-4)
    p = np.float32(1.9875691500e-4)
    p = p * f + np.float32(1.3981999507e-3)
    p = p * f + np.float32(8.3334519073e-3)
    p = p * f + np.float32(4.1665795894e-2)
    p = p * f + np.float32(1.6666665459e-1)
    p = p * f + np.float32(5.0000001201e-1)
    p = p * (f * f) + f + _ONE
    return p * _as_float((np.int32(n) + np.int32(127)) << np.int32(23))


@njit(**OPTIONS)
def swiglu(gate: int, up: int, out: int, m: int, first: int, last: int) -> None:
    """`out = silu(gate) · up`; all `(n, m)`."""
    gates, ups, outs = carray(floats(gate), (last, m)), carray(floats(up), (last, m)), carray(floats(out), (last, m))
    for i in range(first, last):
        g, u, o = gates[i], ups[i], outs[i]
        for j in range(len(g)):
            o[j] = g[j] * u[j] / (_ONE + exp(-g[j]))


@njit(**OPTIONS)
def swiglu_back(gate: int, up: int, d_out: int, d_gate: int, d_up: int, m: int, first: int, last: int) -> None:
    """Gradients of `swiglu`; all `(n, m)`."""
    gates, ups, d_outs = (
        carray(floats(gate), (last, m)),
        carray(floats(up), (last, m)),
        carray(floats(d_out), (last, m)),
    )
    d_gates, d_ups = carray(floats(d_gate), (last, m)), carray(floats(d_up), (last, m))
    for i in range(first, last):
        g, u, d, dg, du = gates[i], ups[i], d_outs[i], d_gates[i], d_ups[i]
        for j in range(len(g)):
            share = _ONE / (_ONE + exp(-g[j]))
            silu = share * g[j]
            du[j] = d[j] * silu
            dg[j] = d[j] * u[j] * (share + silu * (_ONE - share))


@njit(**OPTIONS)
def rms_norm(x: int, out: int, factor: int, weight: int, m: int, eps: float, first: int, last: int) -> None:
    """`out = weight · x · factor`, `factor = 1 / √(mean(x²) + eps)`; `x (n, m)`, `factor (n,)`."""
    xs, outs = carray(floats(x), (last, m)), carray(floats(out), (last, m))
    factors, w = carray(floats(factor), last), carray(floats(weight), m)
    for i in range(first, last):
        factors[i] = _normed(xs[i], w, eps, outs[i])


@njit(**OPTIONS)
def rms_norm_sum(
    x: int, y: int, total: int, out: int, factor: int, weight: int, m: int, eps: float, first: int, last: int
) -> None:
    """`total = x + y`, and `rms_norm` of that."""
    xs, ys, totals = carray(floats(x), (last, m)), carray(floats(y), (last, m)), carray(floats(total), (last, m))
    outs, factors, w = carray(floats(out), (last, m)), carray(floats(factor), last), carray(floats(weight), m)
    for i in range(first, last):
        a, b, both = xs[i], ys[i], totals[i]
        for j in range(len(a)):
            both[j] = a[j] + b[j]
        factors[i] = _normed(both, w, eps, outs[i])


@njit(inline="always", **OPTIONS)
def _normed(row: Any, weight: Any, eps: float, into: Any) -> Any:
    """`rms_norm` of a row, and its factor."""
    total = np.float32(0)
    for j in range(len(row)):
        total += row[j] * row[j]
    scale = _ONE / np.sqrt(total / np.float32(len(row)) + np.float32(eps))
    for j in range(len(row)):
        into[j] = row[j] * scale * weight[j]
    return scale


@njit(**OPTIONS)
def rms_norm_back(
    x: int, factor: int, d_out: int, more: int, d_x: int, weight: int, m: int, first: int, last: int
) -> None:
    """Gradient of `rms_norm` with respect to `x`, plus `more (n, m)` of it unless that is 0."""
    xs, d_outs, d_xs = carray(floats(x), (last, m)), carray(floats(d_out), (last, m)), carray(floats(d_x), (last, m))
    mores, factors, w = carray(floats(more), (last, m)), carray(floats(factor), last), carray(floats(weight), m)
    for i in range(first, last):
        a, d, o = xs[i], d_outs[i], d_xs[i]
        scale = factors[i]
        along = np.float32(0)
        for j in range(len(a)):
            along += d[j] * w[j] * a[j]
        along *= scale * scale * scale / np.float32(m)
        for j in range(len(a)):
            o[j] = d[j] * w[j] * scale - a[j] * along
        if more:
            b = mores[i]
            for j in range(len(a)):
                o[j] += b[j]


@njit(**OPTIONS)
def cross_entropy(logits: int, targets: int, nats: int, m: int, first: int, last: int) -> None:
    """Negative log-likelihoods `nats (n,)` of `targets (n,)` int64; `logits (n, m)` become the gradient."""
    all_logits, wanted_all = carray(floats(logits), (last, m)), carray(integers(targets), last)
    found = carray(floats(nats), last)
    for i in range(first, last):
        row, target = all_logits[i], wanted_all[i]
        wanted = row[target]
        place = logits + 4 * i * m
        top = largest(place, m)
        total = shares_of_e(place, m, top)
        found[i] = np.log(total) + top - wanted
        scale = _ONE / total
        for j in range(len(row)):
            row[j] *= scale
        row[target] -= _ONE
