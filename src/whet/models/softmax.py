"""Softmax of rows of numbers as machine code; imported where numba is installed (`whet[fast]`).

A register of numbers goes through all that is done to it at once. That is written as LLVM's instructions, for its
optimiser computes a row's end, and much of the rest, number by number. Shares far smaller than the largest are 0:
processors take many times as long over products with numbers below 1e-38. Where a number of a row is NaN, the sum is.

Rows come as the addresses of their first numbers, float32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from whet.models.machine import OPTIONS, everywhere, widen
from whet.models.tiles import WIDTH

_FLOAT, _WORD, _PLACE = ir.FloatType(), ir.IntType(32), ir.IntType(64)
_VECTOR, _WORDS, _MASK = (ir.VectorType(kind, WIDTH) for kind in (_FLOAT, _WORD, ir.IntType(1)))

BITS = np.float32(1.4426950408889634)
"""Of e."""
_FAR = -72.0
"""Powers of two that are nothing beside 1."""
_ROUNDING = 1.5 * 2**23
"""Added to a smaller number it leaves no place for what comes after the point."""
_POWERS = (1.54697322e-4, 1.34004327e-3, 9.61802527e-3, 5.55032715e-2, 2.40226507e-1, 6.93147182e-1, 1.0)
"""Of the polynomial that is 2^x in Chebyshev's points of [-1/2, 1/2], the highest first."""


class _Lanes:
    """Instructions for a register of numbers at a time."""

    def __init__(self, builder: Any) -> None:
        widen(builder)
        self.builder = builder

    def all(self, number: float | Any) -> Any:
        """A register full of a number."""
        if isinstance(number, float):
            return ir.Constant(_VECTOR, [number] * WIDTH)
        return everywhere(self.builder, number, WIDTH)

    def at(self, row: Any, place: Any) -> Any:
        """Where the numbers of a row from a place on are."""
        base = self.builder.inttoptr(row, _FLOAT.as_pointer())
        return self.builder.bitcast(self.builder.gep(base, [place]), _VECTOR.as_pointer())

    def load(self, row: Any, place: Any, seen: Any = None) -> Any:
        """Numbers of a row; 0 for those not `seen`."""
        where = self.at(row, place)
        if seen is None:
            return self.builder.load(where, align=4)
        kind = ir.FunctionType(_VECTOR, [_VECTOR.as_pointer(), _WORD, _MASK, _VECTOR])
        return self._call(kind, f"llvm.masked.load.v{WIDTH}f32.p0v{WIDTH}f32", [where, _WORD(4), seen, self.all(0.0)])

    def store(self, numbers: Any, row: Any, place: Any, there: Any = None) -> None:
        """Put numbers into a row; only those that are `there`."""
        where = self.at(row, place)
        if there is None:
            self.builder.store(numbers, where, align=4)
            return
        kind = ir.FunctionType(ir.VoidType(), [_VECTOR, _VECTOR.as_pointer(), _WORD, _MASK])
        self._call(kind, f"llvm.masked.store.v{WIDTH}f32.p0v{WIDTH}f32", [numbers, where, _WORD(4), there])

    def up_to(self, count: Any, place: Any) -> Any:
        """Which of the numbers from a place on come before number `count`."""
        left = self.builder.trunc(self.builder.sub(count, place), _WORD)
        return self.builder.icmp_signed("<", ir.Constant(_WORDS, list(range(WIDTH))), self.all(left))

    def multiply_add(self, one: Any, two: Any, three: Any) -> Any:
        """`one · two + three`, rounded once."""
        return self._call(ir.FunctionType(_VECTOR, [_VECTOR] * 3), f"llvm.fma.v{WIDTH}f32", [one, two, three])

    def power(self, x: Any) -> Any:
        """2^x to two units in the last place, for x up to 1; NaN stays NaN."""
        builder = self.builder
        shifted = self._fixed(builder.fadd(x, self.all(_ROUNDING)))
        rest = builder.fsub(x, self._fixed(builder.fsub(shifted, self.all(_ROUNDING))))
        found = self.all(_POWERS[0])
        for coefficient in _POWERS[1:]:
            found = self.multiply_add(found, rest, self.all(coefficient))
        exponent = builder.shl(builder.bitcast(shifted, _WORDS), ir.Constant(_WORDS, [23] * WIDTH))
        whole = builder.bitcast(builder.add(exponent, ir.Constant(_WORDS, [127 << 23] * WIDTH)), _VECTOR)
        far = builder.fcmp_ordered("<", x, self.all(_FAR))
        return builder.select(far, self.all(0.0), builder.fmul(found, whole))

    def larger(self, one: Any, two: Any) -> Any:
        """The larger of each two."""
        return self.builder.select(self.builder.fcmp_ordered(">", one, two), one, two)

    def together(self, numbers: Any, two_of: Callable[[Any, Any], Any]) -> Any:
        """One number of all of a register, by halves."""
        half = WIDTH // 2
        while half:
            upper = [(lane + half) % WIDTH for lane in range(WIDTH)]
            numbers = two_of(numbers, self.builder.shuffle_vector(numbers, numbers, ir.Constant(_WORDS, upper)))
            half //= 2
        return self.builder.extract_element(numbers, _WORD(0))

    def each(self, count: Any, wide: Any, do: Callable[..., None]) -> None:
        """`do(place)` for whole registers of the first `count` numbers, `do(place, seen, there)` for what is left.

        `seen` are those of the `count`, `there` those of `wide`.
        """
        size = _PLACE(WIDTH)
        whole = self.builder.udiv(count, size)
        with cgutils.for_range(self.builder, whole) as loop:
            do(self.builder.mul(loop.index, size))
        end = self.builder.udiv(self.builder.add(wide, _PLACE(WIDTH - 1)), size)
        with cgutils.for_range_slice(self.builder, whole, end, _PLACE(1), inc=True) as (index, _):
            place = self.builder.mul(index, size)
            do(place, self.up_to(count, place), self.up_to(wide, place))

    def _fixed(self, numbers: Any) -> Any:
        """What the optimiser may not take apart: it may change the order of other sums, as `OPTIONS` says."""
        return self._call(ir.FunctionType(_VECTOR, [_VECTOR]), f"llvm.arithmetic.fence.v{WIDTH}f32", [numbers])

    def _call(self, kind: Any, name: str, given: Sequence[Any]) -> Any:
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, name), given)


@intrinsic
def _largest(_: Any, row: Any, count: Any) -> Any:  # noqa: ARG001 - numba asks for the names
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        lanes, (row, count) = _Lanes(builder), arguments
        most = cgutils.alloca_once_value(builder, lanes.all(float("-inf")))

        def look(place: Any, seen: Any = None, _there: Any = None) -> None:
            numbers, before = lanes.load(row, place, seen), builder.load(most)
            more = lanes.larger(numbers, before)
            builder.store(more if seen is None else builder.select(seen, more, before), most)

        lanes.each(count, count, look)
        return lanes.together(builder.load(most), lanes.larger)

    return types.float32(types.int64, types.int64), generate


def _powers(bits: float) -> Any:
    """`shares` of powers of which base: the one that is so many bits."""

    @intrinsic
    def made(_: Any, row: Any, count: Any, wide: Any, top: Any) -> Any:  # noqa: ARG001
        def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            lanes, (row, count, wide, top) = _Lanes(builder), arguments
            tops, total = lanes.all(top), cgutils.alloca_once_value(builder, lanes.all(0.0))

            def change(place: Any, seen: Any = None, there: Any = None) -> None:
                exponents = builder.fsub(lanes.load(row, place, seen), tops)
                if bits != 1:
                    exponents = builder.fmul(exponents, lanes.all(bits))
                found = lanes.power(exponents)
                if seen is not None:
                    found = builder.select(seen, found, lanes.all(0.0))
                lanes.store(found, row, place, there)
                builder.store(builder.fadd(builder.load(total), found), total)

            lanes.each(count, wide, change)
            return lanes.together(builder.load(total), builder.fadd)

        return types.float32(types.int64, types.int64, types.int64, types.float32), generate

    return made


_of_two, _of_e = _powers(1.0), _powers(float(BITS))


@intrinsic
def _back(_: Any, row: Any, d_row: Any, count: Any, wide: Any, top: Any, part: Any, along: Any) -> Any:  # noqa: ARG001
    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        lanes, (row, d_row, count, wide, *numbers) = _Lanes(builder), arguments
        top, part, along = (lanes.all(number) for number in numbers)

        def change(place: Any, seen: Any = None, there: Any = None) -> None:
            found = builder.fmul(lanes.power(builder.fsub(lanes.load(row, place, seen), top)), part)
            changed = builder.fmul(found, builder.fsub(lanes.load(d_row, place, seen), along))
            for numbers, into in ((found, row), (changed, d_row)):
                kept = numbers if seen is None else builder.select(seen, numbers, lanes.all(0.0))
                lanes.store(kept, into, place, there)

        lanes.each(count, wide, change)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4, *[types.float32] * 3), generate


@njit(**OPTIONS)
def largest(row: int, count: int) -> float:
    """The largest of the first `count` numbers of a row that is a number."""
    return _largest(row, count)  # type: ignore[no-any-return]


@njit(**OPTIONS)
def shares_of_two(row: int, count: int, wide: int, top: float) -> float:
    """`2^(x - top)` in the place of the first `count` numbers x of a row, 0 up to number `wide`; and their sum."""
    return _of_two(row, count, wide, top)  # type: ignore[no-any-return]


@njit(**OPTIONS)
def shares_of_e(row: int, count: int, top: float) -> float:
    """`e^(x - top)` in the place of the first `count` numbers x of a row; and their sum."""
    return _of_e(row, count, count, top)  # type: ignore[no-any-return]


@njit(**OPTIONS)
def shares_back(row: int, d_row: int, count: int, wide: int, top: float, part: float, along: float) -> None:
    """`p = part · 2^(x - top)` in the place of the first `count` numbers x of a row, 0 up to number `wide`.

    And `p · (d - along)` in the place of the numbers d of `d_row`: the gradient of the softmax of x, if `along` is the
    sum of p · d.
    """
    _back(row, d_row, count, wide, top, part, along)
