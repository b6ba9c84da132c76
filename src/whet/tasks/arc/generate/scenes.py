"""Random grids to apply rules to: noise, blobs, rectangles, lines, single cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Cells: TypeAlias = npt.NDArray[np.uint8]
Rng: TypeAlias = np.random.Generator
Rule: TypeAlias = Callable[[Rng], tuple[Cells, Cells]]
"""Draws a pair of input and output."""
Family: TypeAlias = Callable[[Rng, int], Rule]
"""Draws a rule on grids of at most that side."""
Scene: TypeAlias = Callable[[Rng], Cells]

NEIGHBOURS = ((-1, 0), (1, 0), (0, -1), (0, 1))
DIAGONALS = ((-1, -1), (-1, 1), (1, -1), (1, 1))


def one(rng: Rng, low: int, high: int) -> int:
    """An integer from low to high, both included."""
    return int(rng.integers(low, high + 1))


def pick(rng: Rng, *choices: int) -> int:
    """One of some integers."""
    return choices[int(rng.integers(len(choices)))]


def chance(rng: Rng, probability: float) -> bool:
    """True with this probability."""
    return bool(rng.random() < probability)


def colours(rng: Rng, count: int) -> list[int]:
    """Different colours, none of them 0."""
    return [int(colour) for colour in 1 + rng.permutation(9)[:count]]


def sizes(rng: Rng, side: int, *, low: int = 3) -> Callable[[Rng], tuple[int, int]]:
    """Draws rows and columns of the grids of one task: mostly the same for all of them."""
    low = min(low, side)
    smallest = max(low, side - 3)
    rows, columns = one(rng, smallest, side), one(rng, smallest, side)
    if chance(rng, 0.5):
        columns = rows
    if chance(rng, 0.75):
        return lambda _: (rows, columns)
    return lambda rng: (one(rng, smallest, side), one(rng, smallest, side))


def blank(size: tuple[int, int], colour: int = 0) -> Cells:
    """A grid of one colour."""
    return np.full(size, colour, np.uint8)


def blob(rng: Rng, cells: int) -> Cells:
    """A connected shape of so many cells, as a grid of 0 and 1 that it just fits into."""
    found = {(0, 0)}
    while len(found) < cells:
        row, column = list(found)[one(rng, 0, len(found) - 1)]
        down, right = NEIGHBOURS[one(rng, 0, 3)]
        found.add((row + down, column + right))
    places = np.array(sorted(found))
    places -= places.min(axis=0)
    shape = np.zeros(places.max(axis=0) + 1, np.uint8)
    shape[tuple(places.T)] = 1
    return shape


def rectangle(rng: Rng, size: tuple[int, int], *, low: int = 2, hollow: bool = False) -> Cells:
    """A filled or hollow rectangle of 0 and 1 that fits into a grid of this size."""
    shape = np.ones([one(rng, min(low, n), max(low, n - 1)) for n in size], np.uint8)
    if hollow:
        shape[1:-1, 1:-1] = 0
    return shape


def stamp(grid: Cells, shape: Cells, row: int, column: int, colour: int) -> None:
    """Paint the cells of a shape that are not 0; those beyond the edge are left out."""
    rows, columns = np.nonzero(shape)
    rows, columns = rows + row, columns + column
    within = (rows >= 0) & (rows < grid.shape[0]) & (columns >= 0) & (columns < grid.shape[1])
    grid[rows[within], columns[within]] = colour


def place(rng: Rng, grid: Cells, shape: Cells, colour: int, *, apart: bool = True) -> tuple[int, int] | None:
    """Paint a shape where nothing is yet (with `apart`, not beside anything either); None if there is no such place."""
    height, width = shape.shape
    rows, columns = grid.shape
    if height > rows or width > columns:
        return None
    for _ in range(12):
        row, column = one(rng, 0, rows - height), one(rng, 0, columns - width)
        edge = int(apart)
        around = grid[max(row - edge, 0) : row + height + edge, max(column - edge, 0) : column + width + edge]
        if not around.any():
            stamp(grid, shape, row, column, colour)
            return row, column
    return None


def noise(rng: Rng, size: tuple[int, int], palette: list[int], density: float) -> Cells:
    """Cells of a palette with this density, on 0."""
    cells = rng.choice(np.array(palette, np.uint8), size=size)
    return np.where(rng.random(size) < density, cells, np.uint8(0))


def objects(rng: Rng, size: tuple[int, int], palette: list[int], count: int, *, solid: bool = False) -> Cells:
    """Up to so many shapes that do not touch, each of one colour."""
    grid = blank(size)
    largest = max(3, min(8, size[0] * size[1] // 6))
    for _ in range(count):
        small = (max(2, size[0] // 2), max(2, size[1] // 2))
        shape = rectangle(rng, small) if solid else blob(rng, one(rng, 1, largest))
        place(rng, grid, shape, palette[one(rng, 0, len(palette) - 1)])
    return grid


def scene(rng: Rng, side: int, *, low: int = 3, dense: bool = True) -> Scene:
    """Draws the inputs of one task: all of one kind, of one palette.

    Args:
        rng: what the kind and the palette depend on.
        side: the largest side.
        low: the smallest.
        dense: whether grids without background may come.
    """
    size = sizes(rng, side, low=low)
    palette = colours(rng, one(rng, 1, 5))
    kind = one(rng, 0, 5 if dense else 4)
    density = float(rng.uniform(0.2, 0.7))
    count = one(rng, 1, 3)
    if kind == 0:
        return lambda rng: noise(rng, size(rng), palette, density)
    if kind == 1:
        return lambda rng: objects(rng, size(rng), palette, count)
    if kind == 2:
        return lambda rng: objects(rng, size(rng), palette, count, solid=True)
    if kind == 3:
        return lambda rng: _lines(rng, size(rng), palette, count)
    if kind == 4:
        return lambda rng: _dots(rng, size(rng), palette, count + 1)
    many = colours(rng, one(rng, 2, 6))
    return lambda rng: noise(rng, size(rng), many, 1.0)


def _lines(rng: Rng, size: tuple[int, int], palette: list[int], count: int) -> Cells:
    grid = blank(size)
    for _ in range(count):
        colour = palette[one(rng, 0, len(palette) - 1)]
        if chance(rng, 0.5):
            grid[one(rng, 0, size[0] - 1)] = colour
        else:
            grid[:, one(rng, 0, size[1] - 1)] = colour
    return grid


def _dots(rng: Rng, size: tuple[int, int], palette: list[int], count: int) -> Cells:
    grid = blank(size)
    for _ in range(count):
        grid[one(rng, 0, size[0] - 1), one(rng, 0, size[1] - 1)] = palette[one(rng, 0, len(palette) - 1)]
    return grid
