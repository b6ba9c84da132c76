"""Rules of place and size: turns, shifts, tiles, crops, symmetry."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from whet.tasks.arc.generate.scenes import (
    Cells,
    Rng,
    Rule,
    blank,
    blob,
    chance,
    colours,
    noise,
    one,
    pick,
    place,
    sizes,
)
from whet.tasks.arc.generate.scenes import scene as scenes

RIGID: tuple[Callable[[Cells], Cells], ...] = (
    lambda g: np.rot90(g, 1),
    lambda g: np.rot90(g, 2),
    lambda g: np.rot90(g, 3),
    np.fliplr,
    np.flipud,
    np.transpose,
    lambda g: np.rot90(g, 2).T,
)


def applied(scene: Callable[[Rng], Cells], change: Callable[[Cells], Cells]) -> Rule:
    """The rule that does one thing to the grids of a scene."""

    def rule(rng: Rng) -> tuple[Cells, Cells]:
        grid = scene(rng)
        return grid, change(grid)

    return rule


def rigid(rng: Rng, side: int) -> Rule:
    """A turn or a flip."""
    return applied(scenes(rng, side), RIGID[one(rng, 0, 6)])


def shift(rng: Rng, side: int) -> Rule:
    """All cells move, around the edge or beyond it."""
    rows, columns = one(rng, -2, 2), one(rng, -2, 2)
    around = chance(rng, 0.5)
    return applied(scenes(rng, side), lambda g: shifted(g, rows, columns, around=around))


def shifted(grid: Cells, rows: int, columns: int, *, around: bool) -> Cells:
    """The grid moved down and right."""
    if around:
        return np.roll(grid, (rows, columns), axis=(0, 1))
    out = np.zeros_like(grid)
    height, width = grid.shape
    if abs(rows) < height and abs(columns) < width:
        part = grid[max(-rows, 0) : height - max(rows, 0), max(-columns, 0) : width - max(columns, 0)]
        out[max(rows, 0) : height - max(-rows, 0), max(columns, 0) : width - max(-columns, 0)] = part
    return out


def shear(rng: Rng, side: int) -> Rule:
    """Each row moves by its number times a step, around the edge."""
    step = pick(rng, -2, -1, 1, 2)
    turn = chance(rng, 0.5)

    def change(grid: Cells) -> Cells:
        grid = grid.T if turn else grid
        out = np.stack([np.roll(row, step * number) for number, row in enumerate(grid)])
        return out.T if turn else out

    return applied(scenes(rng, side), change)


def tiles(rng: Rng, side: int) -> Rule:
    """The grid several times, each copy perhaps turned."""
    down, right = ((1, 2), (2, 1), (2, 2), (3, 1), (1, 3), (3, 3))[one(rng, 0, 5)]
    low = 2 if side >= 4 else 1
    most = max(low, side // max(down, right))
    keeps = (lambda g: g, np.fliplr, np.flipud, lambda g: np.rot90(g, 2))
    which = [[one(rng, 0, 3) for _ in range(right)] for _ in range(down)]
    if chance(rng, 0.4):
        which = [[0] * right for _ in range(down)]
    which[0][0] = 0
    return applied(
        scenes(rng, most, low=low), lambda g: np.block([[np.asarray(keeps[i](g)) for i in row] for row in which])
    )


def upscale(rng: Rng, side: int) -> Rule:
    """Larger cells, or smaller ones."""
    factor = pick(rng, 2, 2, 3)
    scene = scenes(rng, max(2, side // factor), low=2)
    grow = chance(rng, 0.6)

    def rule(rng: Rng) -> tuple[Cells, Cells]:
        small = scene(rng)
        large = np.kron(small, np.ones((factor, factor), np.uint8))
        return (small, large) if grow else (large, small)

    return rule


def fractal(rng: Rng, side: int) -> Rule:
    """A copy of the grid in place of each of its cells that has a colour, or has none."""
    n = 3 if side >= 9 else 2
    palette = colours(rng, one(rng, 1, 3))
    inverted = chance(rng, 0.3)

    def rule(rng: Rng) -> tuple[Cells, Cells]:
        grid = noise(rng, (n, n), palette, 0.6)
        mask = (grid == 0) if inverted else (grid > 0)
        return grid, np.kron(mask.astype(np.uint8), grid)

    return rule


def half(rng: Rng, side: int) -> Rule:
    """A half or a quarter of the grid."""
    way = one(rng, 0, 4)

    def change(grid: Cells) -> Cells:
        rows, columns = (grid.shape[0] + 1) // 2, (grid.shape[1] + 1) // 2
        return (grid[:rows], grid[-rows:], grid[:, :columns], grid[:, -columns:], grid[:rows, :columns])[way]

    return applied(scenes(rng, side), change)


def strip_border(rng: Rng, side: int) -> Rule:
    """The grid without its outermost cells, or with others around it."""
    if chance(rng, 0.5):
        return applied(scenes(rng, side, low=4), lambda g: g[1:-1, 1:-1])
    colour = colours(rng, 1)[0]
    return applied(scenes(rng, max(2, side - 2), low=2), lambda g: np.pad(g, 1, constant_values=colour))


def crop(rng: Rng, side: int) -> Rule:
    """The smallest rectangle around all that has a colour."""
    return applied(scenes(rng, side, low=4, dense=False), cropped)


def cropped(grid: Cells) -> Cells:
    """The smallest rectangle around all that has a colour; the grid itself if nothing has."""
    rows, columns = np.nonzero(grid)
    if not len(rows):
        return grid
    return grid[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def symmetry(rng: Rng, side: int) -> Rule:
    """A symmetric pattern, of which a part is missing."""
    size = sizes(rng, side)
    palette = colours(rng, one(rng, 1, 5))
    density = 1.0 if chance(rng, 0.5) else 0.6
    kind, hole, by_half = one(rng, 0, 3), 0 if chance(rng, 0.5) else colours(rng, 1)[0], chance(rng, 0.4)
    palette = [colour for colour in palette if colour != hole] or [hole % 9 + 1]

    def rule(rng: Rng) -> tuple[Cells, Cells]:
        rows, columns = size(rng)
        columns = rows if kind == 3 else columns
        out = noise(rng, (rows, columns), palette, density)
        if kind in (0, 2):
            out[:, columns - columns // 2 :] = out[:, : columns // 2][:, ::-1]
        if kind in (1, 2):
            out[rows - rows // 2 :] = out[: rows // 2][::-1]
        if kind == 3:
            out = np.triu(out) + np.triu(out, 1).T
        grid = out.copy()
        if by_half and kind < 2:
            grid[:, : columns // 2] = 0 if kind == 0 else grid[:, : columns // 2]
            grid[: rows // 2] = 0 if kind == 1 else grid[: rows // 2]
            return grid, out
        height, width = one(rng, 1, max(1, rows // 2)), one(rng, 1, max(1, columns // 2))
        row, column = one(rng, 0, rows - height), one(rng, 0, columns - width)
        grid[row : row + height, column : column + width] = hole
        return grid, out

    return rule


def to_the_edge(rng: Rng, side: int) -> Rule:
    """A shape moves until the edge."""
    size = sizes(rng, side, low=4)
    palette = colours(rng, one(rng, 1, 3))
    way = one(rng, 0, 3)

    def rule(rng: Rng) -> tuple[Cells, Cells]:
        grid = blank(size(rng))
        shape = blob(rng, one(rng, 1, 5))
        place(rng, grid, shape, palette[one(rng, 0, len(palette) - 1)])
        inner = cropped(grid)
        height, width = inner.shape
        out = np.zeros_like(grid)
        rows, columns = np.nonzero(grid)
        if not len(rows):
            return grid, out
        row = (0, grid.shape[0] - height, int(rows.min()), int(rows.min()))[way]
        column = (int(columns.min()), int(columns.min()), 0, grid.shape[1] - width)[way]
        out[row : row + height, column : column + width] = inner
        return grid, out

    return rule


def sort_lines(rng: Rng, side: int) -> Rule:
    """Rows, or columns, in the order of how many cells have a colour."""
    turn, falling = chance(rng, 0.5), chance(rng, 0.5)
    size = sizes(rng, side)
    palette = colours(rng, one(rng, 1, 3))

    def rule(rng: Rng) -> tuple[Cells, Cells]:
        rows, columns = size(rng)
        grid = blank((rows, columns))
        for row, length in enumerate(rng.permutation(max(rows, columns + 1))[:rows] % (columns + 1)):
            grid[row, : int(length)] = palette[row % len(palette)]
        out = grid[np.argsort((grid > 0).sum(axis=1) * (-1 if falling else 1), kind="stable")]
        return (grid.T, out.T) if turn else (grid, out)

    return rule


FAMILIES = (
    *(rigid, shift, shear, tiles, upscale, fractal, half, strip_border, crop, symmetry, to_the_edge, sort_lines),
)
