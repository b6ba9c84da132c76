"""Grids: what ARC tasks are made of."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from whet.errors import InputError

Grid: TypeAlias = npt.NDArray[np.uint8]
"""`(rows, columns)`, read-only, of 1 to 30 each; every cell is a colour from 0 to 9."""

MAX_SIDE = 30
COLOURS = 10


def as_grid(values: object, name: str = "grid") -> Grid:
    """A grid of its own from nested lists or an integer array.

    Args:
        values: rows of cells.
        name: how messages call it.

    Raises:
        InputError: it is no rectangle of 1×1 to 30×30 integers from 0 to 9; the message names the row or the cell,
            counted from 0.
    """
    array = values if isinstance(values, np.ndarray) else _from_lists(values, name)
    if array.ndim != 2 or array.dtype.kind not in "iu":
        raise InputError(
            f"{name} is an array of shape {array.shape} and type {array.dtype}; give integers in rows and columns."
        )
    _require_size(name, *array.shape)
    outside = (array < 0) | (array >= COLOURS)
    if outside.any():
        row, column = (int(i) for i in np.argwhere(outside)[0])
        raise _not_a_colour(name, row, column, int(array[row, column]))
    return frozen(array)


def frozen(array: npt.NDArray[Any]) -> Grid:
    """A read-only copy of cells that are known to be a grid."""
    grid = array.astype(np.uint8, order="C")
    grid.setflags(write=False)
    return grid


def content(grid: Grid) -> Hashable:
    """What two grids share only if they are equal."""
    return grid.shape, grid.tobytes()


def distinct(grids: Iterable[Grid]) -> list[Grid]:
    """Each different grid once, in order."""
    found: dict[Hashable, Grid] = {}
    for grid in grids:
        found.setdefault(content(grid), grid)
    return list(found.values())


def _from_lists(values: object, name: str) -> npt.NDArray[np.uint8]:
    if not isinstance(values, list | tuple):
        raise InputError(f"{name} is {_short(values)}, not a list of rows; a grid is a list of lists of colours.")
    for number, row in enumerate(values):
        if not isinstance(row, list | tuple):
            raise InputError(f"{name}[{number}] is {_short(row)}, not a row; a grid is a list of lists of colours.")
    _require_size(name, len(values), len(values[0]) if values else 0)
    for number, row in enumerate(values):
        if len(row) != len(values[0]):
            raise InputError(
                f"{name} is ragged: row {number} has {len(row)} cells and row 0 has {len(values[0])}; "
                "give all rows the same length."
            )
        if set(map(type, row)) != {int} or min(row) < 0 or max(row) >= COLOURS:
            wrong = (type(cell) is not int or not 0 <= cell < COLOURS for cell in row)
            column = list(wrong).index(True)
            raise _not_a_colour(name, number, column, row[column])
    return np.array(values, np.uint8)


def _require_size(name: str, rows: int, columns: int) -> None:
    if not (1 <= rows <= MAX_SIDE and 1 <= columns <= MAX_SIDE):
        raise InputError(f"{name} is {rows}×{columns}; a grid has 1 to {MAX_SIDE} rows and columns.")


def _not_a_colour(name: str, row: int, column: int, value: object) -> InputError:
    return InputError(f"{name}[{row}][{column}] is {_short(value)}; a colour is an integer from 0 to {COLOURS - 1}.")


def _short(value: object) -> str:
    """The beginning of a value, however large it is."""
    if isinstance(value, list | tuple | dict):
        return f"a {type(value).__name__}"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**20:
        return "a huge number"
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
