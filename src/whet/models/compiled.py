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
from numba.core import cgutils
from numba.extending import intrinsic

# Sums in any order and fused multiplications let the processor work on eight or sixteen numbers at a time; infinite
# numbers and NaN keep their meaning.
OPTIONS: dict[str, Any] = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",  # a check of each divisor would keep loops from being vectorised
    "fastmath": {"reassoc", "contract", "nsz", "arcp"},
}
_ONE, _HALF = np.float32(1), np.float32(0.5)
_LEAST = np.int32(-(2**31))
_NOTHING, _FAR, _FAR_OF_TWO = np.float32(0), np.float32(-50), np.float32(-72)


@intrinsic
def _as_float(_: Any, bits: Any) -> Any:  # noqa: ARG001
    """The float32 that has these bits."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), generate


@intrinsic
def _bits(_: Any, number: Any) -> Any:  # noqa: ARG001
    """The reverse of `_as_float`."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(32))

    return types.int32(types.float32), generate


def widen(builder: Any) -> None:
    """Let the function that is being compiled use registers of 512 bits, where there are some.

    For Intel's processors LLVM is content with 256, to spare old ones among them their clock; here they are slower.
    """
    set.add(builder.function.attributes, '"prefer-vector-width"="512"')  # llvmlite knows attributes without values only


def _numbers(kind: Any, stored: Any) -> Any:
    """A function that gives numbers from an address on, for `carray`; what asks for them may use wide registers."""

    @intrinsic
    def numbers(_: Any, address: Any) -> Any:  # noqa: ARG001
        def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            widen(builder)
            return builder.inttoptr(arguments[0], stored.as_pointer())

        return types.CPointer(kind)(types.int64), generate

    return numbers


floats = _numbers(types.float32, ir.FloatType())
words = _numbers(types.int32, ir.IntType(32))
"""Such as the bits of numbers."""
integers = _numbers(types.int64, ir.IntType(64))


def call_ahead(builder: Any, address: Any) -> None:
    """Have the processor fetch what is at an address into the second cache, to be read soon."""
    byte, whole = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [byte, whole, whole, whole])
    prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
    builder.call(prefetch, [address, whole(0), whole(2), whole(1)])


@intrinsic
def fetch(_: Any, address: Any) -> Any:  # noqa: ARG001
    """The same for kernels; nothing happens where there is no memory."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        call_ahead(builder, builder.inttoptr(arguments[0], ir.IntType(8).as_pointer()))
        return context.get_dummy_value()

    return types.void(types.int64), generate


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


@njit(inline="always", **OPTIONS)
def share(x: Any) -> Any:
    """e^x where it counts beside 1: processors take long over products with numbers that are far smaller."""
    return _NOTHING if x < _FAR else exp(x)


@njit(inline="always", **OPTIONS)
def share_of_two(x: Any) -> Any:
    """2^x, at most 1, where it counts beside 1, to two units in the last place; NaN stays NaN.

    2^n times a polynomial on the rest, which is the interpolation of 2^x in Chebyshev's points of [-1/2, 1/2].
    """
    n = np.floor(x + _HALF)
    f = x - n
    p = np.float32(1.54697322e-4)
    p = p * f + np.float32(1.34004327e-3)
    p = p * f + np.float32(9.61802527e-3)
    p = p * f + np.float32(5.55032715e-2)
    p = p * f + np.float32(2.40226507e-1)
    p = p * f + np.float32(6.93147182e-1)
    p = p * f + _ONE
    return _NOTHING if x < _FAR_OF_TWO else _as_float(np.int32(_bits(p) + (np.int32(n) << np.int32(23))))


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
    factors, w, size, least = carray(floats(factor), last), carray(floats(weight), m), np.float32(m), np.float32(eps)
    for i in range(first, last):
        a, o = xs[i], outs[i]
        total = np.float32(0)
        for j in range(len(a)):
            total += a[j] * a[j]
        scale = _ONE / np.sqrt(total / size + least)
        factors[i] = scale
        for j in range(len(a)):
            o[j] = a[j] * scale * w[j]


@njit(**OPTIONS)
def rms_norm_back(x: int, factor: int, d_out: int, d_x: int, weight: int, m: int, first: int, last: int) -> None:
    """Gradient of `rms_norm` with respect to `x`."""
    xs, d_outs, d_xs = carray(floats(x), (last, m)), carray(floats(d_out), (last, m)), carray(floats(d_x), (last, m))
    factors, w, size = carray(floats(factor), last), carray(floats(weight), m), np.float32(m)
    for i in range(first, last):
        a, d, o = xs[i], d_outs[i], d_xs[i]
        scale = factors[i]
        along = np.float32(0)
        for j in range(len(a)):
            along += d[j] * w[j] * a[j]
        along *= scale * scale * scale / size
        for j in range(len(a)):
            o[j] = d[j] * w[j] * scale - a[j] * along


@njit(inline="always", **OPTIONS)
def _ordered(bits: Any) -> Any:
    """Integers in the order of the numbers that have these bits, NaN above all; its own reverse.

    The largest of integers is found eight or sixteen at a time, that of numbers one by one, because of NaN.
    """
    return bits ^ ((bits >> np.int32(31)) & np.int32(0x7FFFFFFF))


@njit(inline="always", **OPTIONS)
def largest(row: Any, seen: int) -> Any:
    """The largest of the first `seen` numbers of a row; NaN if one is."""
    most = _LEAST
    for j in range(len(row)):  # whole rows: short loops of many lengths would not be vectorised
        most = max(most, _ordered(_bits(row[j])) if np.int32(j) < seen else _LEAST)
    return _as_float(_ordered(most))


@njit(**OPTIONS)
def cross_entropy(logits: int, targets: int, nats: int, m: int, first: int, last: int) -> None:
    """Negative log-likelihoods `nats (n,)` of `targets (n,)` int64; `logits (n, m)` become the gradient."""
    all_logits, wanted_all = carray(floats(logits), (last, m)), carray(integers(targets), last)
    found = carray(floats(nats), last)
    for i in range(first, last):
        row, target = all_logits[i], wanted_all[i]
        wanted = row[target]
        top = largest(row, len(row))
        total = np.float32(0)
        for j in range(len(row)):
            e = share(row[j] - top)
            row[j] = e
            total += e
        found[i] = np.log(total) + top - wanted
        scale = _ONE / total
        for j in range(len(row)):
            row[j] *= scale
        row[target] -= _ONE
