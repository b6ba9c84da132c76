"""Elementwise parts of transformer blocks as machine code; imported where numba is installed (`whet[fast]`).

torch makes a sweep over memory of each operation, and on a processor these sweeps take as long as the products between
them. Here each part is one sweep. All arrays are float32, contiguous, and have their rows along the first axis.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# Sums in any order and fused multiplications let the processor work on eight or sixteen numbers at a time; infinite
# numbers and NaN keep their meaning.
OPTIONS: dict[str, Any] = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",  # a check of each divisor would keep loops from being vectorised
    "fastmath": {"reassoc", "contract", "nsz", "arcp"},
}
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
def swiglu(gate: Floats, up: Floats, out: Floats) -> None:
    """`out = silu(gate) · up`; all `(n, m)`."""
    for i in range(len(gate)):
        g, u, o = gate[i], up[i], out[i]
        for j in range(len(g)):
            o[j] = g[j] * u[j] / (_ONE + exp(-g[j]))


@njit(**OPTIONS)
def swiglu_back(gate: Floats, up: Floats, d_out: Floats, d_gate: Floats, d_up: Floats) -> None:
    """Gradients of `swiglu`; all `(n, m)`."""
    for i in range(len(gate)):
        g, u, d, dg, du = gate[i], up[i], d_out[i], d_gate[i], d_up[i]
        for j in range(len(g)):
            share = _ONE / (_ONE + exp(-g[j]))
            silu = share * g[j]
            du[j] = d[j] * silu
            dg[j] = d[j] * u[j] * (share + silu * (_ONE - share))


@njit(**OPTIONS)
def rms_norm(x: Floats, out: Floats, factor: Floats, weight: Floats, eps: np.float32) -> None:
    """`out = weight · x · factor`, `factor = 1 / √(mean(x²) + eps)`; `x (n, m)`, `factor (n,)`."""
    size = np.float32(x.shape[1])
    for i in range(len(x)):
        a, o = x[i], out[i]
        total = np.float32(0)
        for j in range(len(a)):
            total += a[j] * a[j]
        scale = _ONE / np.sqrt(total / size + eps)
        factor[i] = scale
        for j in range(len(a)):
            o[j] = a[j] * scale * weight[j]


@njit(**OPTIONS)
def rms_norm_back(x: Floats, factor: Floats, d_out: Floats, d_x: Floats, weight: Floats) -> None:
    """Gradient of `rms_norm` with respect to `x`."""
    size = np.float32(x.shape[1])
    for i in range(len(x)):
        a, d, o = x[i], d_out[i], d_x[i]
        scale = factor[i]
        along = np.float32(0)
        for j in range(len(a)):
            along += d[j] * weight[j] * a[j]
        along *= scale * scale * scale / size
        for j in range(len(a)):
            o[j] = d[j] * weight[j] * scale - a[j] * along


@njit(**OPTIONS)
def to_heads(out: Floats, x: Floats, cos: Floats, sin: Floats) -> None:
    """`out (sequences, heads, tokens, size)` of `x (sequences, tokens, heads, size)`, turned.

    `cos` and `sin (sequences, tokens, size/2)` turn number i together with i + size/2.
    """
    sequences, heads, tokens, size = out.shape
    half = size // 2
    for s in range(sequences):
        for t in range(tokens):
            c, z = cos[s, t], sin[s, t]
            for h in range(heads):
                a, o = x[s, t, h], out[s, h, t]
                for j in range(half):
                    o[j] = a[j] * c[j] - a[half + j] * z[j]
                for j in range(half):
                    o[half + j] = a[half + j] * c[j] + a[j] * z[j]


@njit(**OPTIONS)
def from_heads(out: Floats, x: Floats, cos: Floats, sin: Floats) -> None:
    """The reverse of `to_heads`: `out (sequences, tokens, heads, size)`, turned back."""
    sequences, tokens, heads, size = out.shape
    half = size // 2
    for s in range(sequences):
        for t in range(tokens):
            c, z = cos[s, t], sin[s, t]
            for h in range(heads):
                a, o = x[s, h, t], out[s, t, h]
                for j in range(half):
                    o[j] = a[j] * c[j] + a[half + j] * z[j]
                for j in range(half):
                    o[half + j] = a[half + j] * c[j] - a[j] * z[j]


@njit(**OPTIONS)
def causal_softmax(scores: Floats, tokens: int, first: int) -> None:
    """In place, for `scores (n, rows, keys)`: row i is token `first + i % tokens` and sees the keys up to itself."""
    for n in range(len(scores)):
        for i in range(scores.shape[1]):
            row = scores[n, i]
            seen = first + i % tokens + 1
            top = row[0]
            for j in range(len(row)):  # whole rows: short loops of many lengths would not be vectorised
                top = max(top, row[j] if j < seen else row[0])
            total = np.float32(0)
            for j in range(len(row)):
                e = exp(row[j] - top) if j < seen else np.float32(0)
                row[j] = e
                total += e
            scale = _ONE / total
            for j in range(len(row)):
                row[j] *= scale


@njit(**OPTIONS)
def softmax_back(d_shares: Floats, shares: Floats, scale: np.float32) -> None:
    """In place: the gradient with respect to the scores, times `scale`; both `(n, rows, keys)`."""
    for n in range(len(shares)):
        for i in range(shares.shape[1]):
            d, p = d_shares[n, i], shares[n, i]
            total = np.float32(0)
            for j in range(len(p)):
                total += d[j] * p[j]
            for j in range(len(p)):
                d[j] = p[j] * (d[j] - total) * scale


@njit(**OPTIONS)
def cross_entropy(logits: Floats, targets: NDArray[np.int64], nats: Floats) -> None:
    """Negative log-likelihoods `nats (n,)` of `targets (n,)`; `logits (n, V)` become the gradient."""
    for i in range(len(logits)):
        row = logits[i]
        wanted = row[targets[i]]
        top = row[0]
        for j in range(len(row)):
            top = max(top, row[j])
        total = np.float32(0)
        for j in range(len(row)):
            e = exp(row[j] - top)
            row[j] = e
            total += e
        nats[i] = np.log(total) + top - wanted
        scale = _ONE / total
        for j in range(len(row)):
            row[j] *= scale
        row[targets[i]] -= _ONE
