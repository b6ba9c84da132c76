"""Small products of matrices as machine code; imported where numba is installed (`whet[fast]`).

Libraries are made for large products. Here what is multiplied is small, or lies in memory in an order that they would
have copied first. A tile of the result, some rows by two registers, stays in registers while its sums are made. Each
number is summed in the order of the terms, wherever it lies in a tile: so a row does not depend on how many there are.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import carray, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from whet.models.machine import OPTIONS, call_ahead, everywhere, floats, widen

llvmlite.binding.initialize_native_asmparser()  # it reads what LLVM has no name for
_FLOAT, _PLACE = ir.FloatType(), ir.IntType(64)


def _numbers_a_register() -> int:
    features = llvmlite.binding.get_host_cpu_features()
    return 16 if features.get("avx512f") else 8 if features.get("avx") else 4


WIDTH = _numbers_a_register()
"""Numbers of float32 in a register."""
ROWS = 4 if WIDTH == 8 else 8
"""Rows of a whole tile."""
PANEL = 2 * WIDTH
"""Columns of a whole tile."""
PAIRS = bool(llvmlite.binding.get_host_cpu_features().get("avx512bf16"))
"""Whether the processor multiplies pairs of bfloat16."""


def tile(rows: int, registers: int, *, hurries: bool = False, pairs: bool = False) -> Any:
    """A function that makes one tile: `c (rows, registers · WIDTH)`, see `multiply`.

    Args:
        rows: of the tile.
        registers: beside each other.
        hurries: whether it calls for as much of `b` as it reads, from the end of that on, so that it is there in time.
        pairs: whether each term is a pair of numbers of bfloat16, in `a` and `b` in the place of a float32, both of
            whose products are added. Not to be called where not `PAIRS`.
    """
    vector = ir.VectorType(_FLOAT, WIDTH)

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        widen(builder)
        c, c_row, a, a_row, a_step, b, b_row, terms, factor, add = arguments
        c, a, b = (builder.inttoptr(address, _FLOAT.as_pointer()) for address in (c, a, b))
        fused = ir.FunctionType(vector, [vector] * 3)
        fma = cgutils.get_or_insert_function(builder.module, fused, f"llvm.fma.v{WIDTH}f32")
        of_pairs = ir.InlineAsm(fused, "vdpbf16ps $2, $1, $0", "=v,v,v,0")
        more = of_pairs if pairs and PAIRS else fma
        size = builder.mul(terms, b_row)

        def register(base: Any, place: Any, number: int) -> Any:
            place = builder.add(place, _PLACE(number * WIDTH))
            return builder.bitcast(builder.gep(base, [place]), vector.as_pointer())

        cells = [(i, j) for i in range(rows) for j in range(registers)]
        sums = {cell: cgutils.alloca_once_value(builder, ir.Constant(vector, [0.0] * WIDTH)) for cell in cells}
        with cgutils.for_range(builder, terms) as loop:
            right = builder.mul(loop.index, b_row)
            rights = [builder.load(register(b, right, j), align=4) for j in range(registers)]
            for j in range(registers if hurries else 0):
                place = register(b, builder.add(right, size), j)
                call_ahead(builder, builder.bitcast(place, ir.IntType(8).as_pointer()))
            left = builder.mul(loop.index, a_step)
            for i in range(rows):
                place = builder.add(left, builder.mul(a_row, _PLACE(i)))
                number = everywhere(builder, builder.load(builder.gep(a, [place])), WIDTH)
                for j in range(registers):
                    found = builder.call(more, [number, rights[j], builder.load(sums[i, j])])
                    builder.store(found, sums[i, j])
        factors = everywhere(builder, factor, WIDTH)
        adds = builder.icmp_signed("!=", add, _PLACE(0))
        for i, j in cells:
            where = register(c, builder.mul(c_row, _PLACE(i)), j)
            with builder.if_else(adds) as (then, otherwise):
                with then:
                    before = builder.load(where, align=4)
                    builder.store(builder.call(fma, [builder.load(sums[i, j]), factors, before]), where, align=4)
                with otherwise:
                    builder.store(builder.fmul(builder.load(sums[i, j]), factors), where, align=4)
        return _context.get_dummy_value()

    @intrinsic
    def make(
        _: Any,
        c: Any,  # noqa: ARG001 - numba asks for the names
        c_row: Any,  # noqa: ARG001
        a: Any,  # noqa: ARG001
        a_row: Any,  # noqa: ARG001
        a_step: Any,  # noqa: ARG001
        b: Any,  # noqa: ARG001
        b_row: Any,  # noqa: ARG001
        terms: Any,  # noqa: ARG001
        factor: Any,  # noqa: ARG001
        add: Any,  # noqa: ARG001
    ) -> Any:
        return types.void(*[types.int64] * 8, types.float32, types.int64), generate

    return make


_whole, _half, _quarter, _row = (tile(rows, 2) for rows in (ROWS, ROWS // 2, ROWS // 4, 1))
_hurried = tile(ROWS, 2, hurries=True)
_narrow, _narrow_row = tile(ROWS, 1), tile(1, 1)


@njit(**OPTIONS)
def multiply(
    c: int,
    c_row: int,
    a: int,
    a_row: int,
    a_step: int,
    b: int,
    b_row: int,
    rows: int,
    columns: int,
    terms: int,
    factor: float,
    add: int,
    hurry: int = 0,
) -> None:
    """`c = factor · a b`, or with `add` more of it; `c (rows, columns)`, `a (rows, terms)`, `b (terms, columns)`.

    Args:
        c: address of its first number, as of `a` and `b`; all are float32.
        c_row: numbers from one row to the next.
        a: may lie in any order.
        a_row: numbers from one row to the next.
        a_step: numbers from one term to the next.
        b: terms are rows.
        b_row: numbers from one row to the next.
        rows: of `c`.
        columns: of `c`.
        terms: of each sum.
        factor: of what is computed.
        add: 1 to add to what `c` holds, else 0.
        hurry: 1 if what follows `b` in memory is read next, and comes from far.
    """
    scale = np.float32(factor)
    j = 0
    while j + WIDTH <= columns:
        right, narrow = b + 4 * j, j + 2 * WIDTH > columns
        i = 0
        while i < rows:
            to, left, few = c + 4 * (i * c_row + j), a + 4 * i * a_row, rows - i
            if narrow and few >= ROWS:
                _narrow(to, c_row, left, a_row, a_step, right, b_row, terms, scale, add)
                i += ROWS
            elif narrow:
                _narrow_row(to, c_row, left, a_row, a_step, right, b_row, terms, scale, add)
                i += 1
            elif few >= ROWS and hurry:
                _hurried(to, c_row, left, a_row, a_step, right, b_row, terms, scale, add)
                i += ROWS
            elif few >= ROWS:
                _whole(to, c_row, left, a_row, a_step, right, b_row, terms, scale, add)
                i += ROWS
            elif few >= ROWS // 2:
                _half(to, c_row, left, a_row, a_step, right, b_row, terms, scale, add)
                i += ROWS // 2
            elif few >= ROWS // 4:
                _quarter(to, c_row, left, a_row, a_step, right, b_row, terms, scale, add)
                i += ROWS // 4
            else:
                _row(to, c_row, left, a_row, a_step, right, b_row, terms, scale, add)
                i += 1
        j += WIDTH if narrow else 2 * WIDTH
    if j < columns:
        _last_columns(c + 4 * j, c_row, a, a_row, a_step, b + 4 * j, b_row, rows, columns - j, terms, factor, add)


@intrinsic
def _transpose(_: Any, a: Any, a_row: Any, b: Any, b_row: Any) -> Any:  # noqa: ARG001
    """The columns of `a (WIDTH, WIDTH)` become the rows of `b`: bit by bit of their numbers, places are exchanged."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        widen(builder)
        vector, lanes = ir.VectorType(_FLOAT, WIDTH), ir.VectorType(ir.IntType(32), WIDTH)
        a, a_row, b, b_row = arguments

        def register(base: Any, row: Any, number: int) -> Any:
            place = builder.add(base, builder.mul(row, _PLACE(4 * number)))
            return builder.inttoptr(place, vector.as_pointer())

        rows = [builder.load(register(a, a_row, i), align=4) for i in range(WIDTH)]
        bit = 1
        while bit < WIDTH:
            lower = ir.Constant(lanes, [j if not j & bit else WIDTH + j - bit for j in range(WIDTH)])
            upper = ir.Constant(lanes, [j + bit if not j & bit else WIDTH + j for j in range(WIDTH)])
            for i in (i for i in range(WIDTH) if not i & bit):
                pair = rows[i], rows[i + bit]
                rows[i], rows[i + bit] = (builder.shuffle_vector(*pair, places) for places in (lower, upper))
            bit *= 2
        for j, row in enumerate(rows):
            builder.store(row, register(b, b_row, j), align=4)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4), generate


@njit(**OPTIONS)
def transpose(a: int, rows: int, columns: int, b: int, b_row: int) -> None:
    """The columns of `a (rows, columns)` become the rows of `b`, each `b_row` numbers after the one before.

    The rows are a multiple of WIDTH.
    """
    whole = columns - columns % WIDTH
    for i in range(0, rows, WIDTH):
        for j in range(0, whole, WIDTH):
            _transpose(a + 4 * (i * columns + j), columns, b + 4 * (j * b_row + i), b_row)
    numbers, turned = carray(floats(a), (rows, columns)), carray(floats(b), (columns, b_row))
    for j in range(whole, columns):
        for i in range(rows):
            turned[j, i] = numbers[i, j]


@njit(**OPTIONS)
def _last_columns(
    c: int,
    c_row: int,
    a: int,
    a_row: int,
    a_step: int,
    b: int,
    b_row: int,
    rows: int,
    columns: int,
    terms: int,
    factor: float,
    add: int,
) -> None:
    """As `multiply`, for fewer columns than a register holds."""
    cs = carray(floats(c), (rows - 1) * c_row + columns)
    lefts = carray(floats(a), (rows - 1) * a_row + (terms - 1) * a_step + 1)
    rights = carray(floats(b), (terms - 1) * b_row + columns)
    for i in range(rows):
        for j in range(columns):
            total = np.float32(0)
            for k in range(terms):
                total += lefts[i * a_row + k * a_step] * rights[k * b_row + j]
            place = i * c_row + j
            cs[place] = cs[place] + factor * total if add else factor * total
