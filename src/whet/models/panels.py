"""Products with matrices that lie in panels as machine code; imported where numba is installed (`whet[fast]`).

A panel is PANEL columns of a matrix, term after term. `product` makes them in float32, or of numbers that it rounds to
bfloat16 and multiplies in pairs; either way sums are of float32, in one order whatever the number of rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import carray, njit
from torch import Tensor

from whet.models.machine import OPTIONS, words
from whet.models.tiles import PAIRS, PANEL, ROWS, multiply, tile

BLOCK, _TERMS = 64, 256
"""Rows and terms that are read again while they are in the nearest cache."""

_whole, _half, _quarter, _row = (tile(rows, 2, pairs=True) for rows in (ROWS, ROWS // 2, ROWS // 4, 1))


def in_panels(matrix: Tensor, precision: torch.dtype) -> Tensor:
    """`matrix (terms, columns)` as `product` reads it; in bfloat16 in pairs, of its two halves a term each."""
    terms, columns = matrix.shape
    whole = torch.nn.functional.pad(matrix, (0, -columns % PANEL)).to(precision)
    if precision == torch.bfloat16:
        whole = torch.stack(whole.chunk(2), dim=-1)
        return whole.view(terms // 2, -1, PANEL, 2).transpose(0, 1).contiguous()
    return whole.view(terms, -1, PANEL).transpose(0, 1).contiguous()


def fits(terms: int, columns: int, precision: torch.dtype) -> bool:
    """Whether there is a product with matrices of this shape."""
    return precision == torch.float32 or (PAIRS and terms % 2 == 0 and columns % PANEL == 0)


@njit(**OPTIONS)
def product(y: int, x: int, panels: int, terms: int, columns: int, add: int, low: int, first: int, last: int) -> None:
    """`y = x m`, or with `add` more of it, for the rows from `first` up to `last`; all end to end.

    Args:
        y: address of the first number, as of `x` and `panels`: `(rows, columns)`.
        x: `(rows, terms)`.
        panels: of `m`, see `in_panels`.
        terms: rows of `m`.
        columns: of `m`.
        add: 1 to add to what `y` holds, else 0.
        low: 1 if the panels are in bfloat16, else 0.
        first: row.
        last: row.
    """
    room = room_of(terms, low)
    for i in range(first, last, BLOCK):
        block(y, x, panels, terms, columns, add, low, room.ctypes.data, i, min(BLOCK, last - i), int(i == first))
    room[0] = 0  # until here its memory is in use


@njit(**OPTIONS)
def room_of(terms: int, low: int) -> Any:
    """Room in which `block` rounds rows."""
    return np.empty(BLOCK * (terms // 2) if low else 1, np.int32)


@njit(**OPTIONS)
def block(
    y: int,
    x: int,
    panels: int,
    terms: int,
    columns: int,
    add: int,
    low: int,
    room: int,
    i: int,
    rows: int,
    hurry: int,
) -> None:
    """As `product`, for at most BLOCK rows from i on; with `hurry` where the matrix is not yet in the cache."""
    if low:
        _round(room, x + 4 * i * terms, terms // 2, rows)
        _of_pairs(y + 4 * i * columns, room, panels, terms // 2, columns, add, rows)
        return
    for j in range(0, columns, PANEL):
        to, panel, wide = y + 4 * (i * columns + j), panels + 4 * j * terms, min(PANEL, columns - j)
        for t in range(0, terms, _TERMS):
            left, right = x + 4 * (i * terms + t), panel + 4 * t * PANEL
            few, adds = min(_TERMS, terms - t), 1 if t else add
            multiply(to, columns, left, terms, 1, right, PANEL, rows, wide, few, np.float32(1), adds, hurry)


@njit(**OPTIONS)
def _of_pairs(y: int, room: int, panels: int, pairs: int, columns: int, add: int, rows: int) -> None:
    """As `block` of rounded rows."""
    one = np.float32(1)
    for j in range(0, columns, PANEL):
        panel = panels + 4 * j * pairs
        for t in range(0, pairs, _TERMS):
            few, adds = min(_TERMS, pairs - t), 1 if t else add
            right = panel + 4 * t * PANEL
            i = 0
            while i < rows:
                to, left, more = y + 4 * (i * columns + j), room + 4 * (i * pairs + t), rows - i
                if more >= ROWS:
                    _whole(to, columns, left, pairs, 1, right, PANEL, few, one, adds)
                    i += ROWS
                elif more >= ROWS // 2:
                    _half(to, columns, left, pairs, 1, right, PANEL, few, one, adds)
                    i += ROWS // 2
                elif more >= ROWS // 4:
                    _quarter(to, columns, left, pairs, 1, right, PANEL, few, one, adds)
                    i += ROWS // 4
                else:
                    _row(to, columns, left, pairs, 1, right, PANEL, few, one, adds)
                    i += 1


@njit(**OPTIONS)
def _round(room: int, x: int, pairs: int, rows: int) -> None:
    """`room (rows, pairs)`: of a row of `x (rows, 2 · pairs)` one number of the first half, one of the second above."""
    xs, rounded = carray(words(x), (rows, 2, pairs)), carray(words(room), (rows, pairs))
    for i in range(rows):
        low, high, out = xs[i, 0], xs[i, 1], rounded[i]
        for k in range(len(out)):
            out[k] = ((_nearest(low[k]) >> np.int32(16)) & np.int32(0xFFFF)) | (_nearest(high[k]) & np.int32(-0x10000))


@njit(inline="always", **OPTIONS)
def _nearest(bits: Any) -> Any:
    """The bits of a float32, of which the upper half are those of the nearest bfloat16, or the even one; NaN stays."""
    up = np.int32(bits + np.int32(0x7FFF) + ((bits >> np.int32(16)) & np.int32(1)))
    return bits | np.int32(0x400000) if (bits & np.int32(0x7FFFFFFF)) > np.int32(0x7F800000) else up
