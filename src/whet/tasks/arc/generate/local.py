"""Rules of colours and of the nearest cells: maps, outlines, stamps, borders."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from whet.tasks.arc.generate.geometry import applied
from whet.tasks.arc.generate.scenes import (
    DIAGONALS,
    NEIGHBOURS,
    Cells,
    Rng,
    Rule,
    blank,
    chance,
    colours,
    noise,
    one,
    pick,
    place,
    rectangle,
    sizes,
)
from whet.tasks.arc.generate.scenes import scene as scenes


def colour_map(rng: Rng, side: int) -> Rule:
    """Each colour becomes another one, the same in all pairs."""
    table = np.arange(10, dtype=np.uint8)
    changed = rng.permutation(10)[: one(rng, 2, 10)]
    table[changed] = rng.permutation(changed) if chance(rng, 0.5) else rng.integers(0, 10, len(changed))
    if chance(rng, 0.7):
        table[0] = 0
    return applied(scenes(rng, side), lambda g: table[g])


def swap(rng: Rng, side: int) -> Rule:
    """The two colours of each grid change places."""
    size = sizes(rng, side)
    density = float(rng.uniform(0.3, 0.7))

    def rule(rng: Rng) -> tuple[Cells, Cells]:
        first, second = colours(rng, 2)
        mask = rng.random(size(rng)) < density
        return np.where(mask, first, second).astype(np.uint8), np.where(mask, second, first).astype(np.uint8)

    return rule


def paint(rng: Rng, side: int) -> Rule:
    """All that has a colour gets one colour, or all that has none; or what has none is all that gets one."""
    colour = np.uint8(colours(rng, 1)[0])
    way = one(rng, 0, 2)

    def change(grid: Cells) -> Cells:
        if way == 0:
            return np.where(grid > 0, colour, grid)
        return np.where(grid == 0, colour, grid if way == 1 else np.uint8(0))

    return applied(scenes(rng, side, dense=False), change)


def by_frequency(rng: Rng, side: int) -> Rule:
    """Something happens to the most frequent colour, or to the least frequent one."""
    size = sizes(rng, side)
    most, way, new = chance(rng, 0.5), one(rng, 0, 2), colours(rng, 1)[0]
    palette = [colour for colour in colours(rng, 6) if colour != new]

    def rule(rng: Rng) -> tuple[Cells, Cells]:
        own = [palette[int(i)] for i in rng.permutation(len(palette))[: one(rng, 2, 3)]]
        grid = noise(rng, size(rng), own, 0.5 if chance(rng, 0.5) else 1.0)
        counts = np.bincount(grid.ravel(), minlength=10)[1:]
        there = np.flatnonzero(counts)
        if not len(there):
            return grid, grid
        chosen = 1 + there[np.argmax(counts[there]) if most else np.argmin(counts[there])]
        if way == 0:
            return grid, np.where(grid == chosen, np.uint8(new), grid)
        if way == 1:
            return grid, np.where(grid == chosen, grid, np.uint8(0))
        return grid, blank(grid.shape, int(chosen))

    return rule


def one_colour(rng: Rng, side: int) -> Rule:
    """One colour stays alone, or goes."""
    size = sizes(rng, side)
    palette = colours(rng, one(rng, 2, 5))
    density = float(rng.uniform(0.4, 1.0))
    keep = chance(rng, 0.5)

    def rule(rng: Rng) -> tuple[Cells, Cells]:
        grid = noise(rng, size(rng), palette, density)
        return grid, np.where((grid == palette[0]) == keep, grid, np.uint8(0))

    return rule


def neighbours(mask: npt.NDArray[np.bool_], steps: tuple[tuple[int, int], ...]) -> Cells:
    """How many of the cells at these steps from each cell are in the mask."""
    padded = np.pad(mask.astype(np.uint8), 1)
    rows, columns = mask.shape
    around = [padded[1 + down : 1 + down + rows, 1 + right : 1 + right + columns] for down, right in steps]
    count: Cells = np.stack(around).sum(axis=0, dtype=np.uint8)
    return count


def outline(rng: Rng, side: int) -> Rule:
    """Cells beside something that has a colour get one."""
    steps = (NEIGHBOURS, DIAGONALS, NEIGHBOURS + DIAGONALS)[one(rng, 0, 2)]
    colour = colours(rng, 1)[0]

    def change(grid: Cells) -> Cells:
        return np.where((grid == 0) & (neighbours(grid > 0, steps) > 0), np.uint8(colour), grid)

    return applied(scenes(rng, side, low=4, dense=False), change)


def inside(rng: Rng, side: int) -> Rule:
    """The inner cells of shapes, or their edges, change."""
    colour = 0 if chance(rng, 0.3) else colours(rng, 1)[0]
    inner = chance(rng, 0.6)
    size = sizes(rng, side, low=4)
    palette = colours(rng, one(rng, 1, 3))
    count = one(rng, 1, 2)

    def rule(rng: Rng) -> tuple[Cells, Cells]:
        grid = blank(size(rng))
        for _ in range(count):
            place(rng, grid, rectangle(rng, grid.shape, low=3), palette[one(rng, 0, len(palette) - 1)])
        deep = neighbours(grid > 0, NEIGHBOURS) == 4
        mask = deep if inner else (grid > 0) & ~deep
        return grid, np.where(mask, np.uint8(colour), grid)

    return rule


def counting_neighbours(rng: Rng, side: int) -> Rule:
    """Cells with enough neighbours of a colour change."""
    steps = NEIGHBOURS if chance(rng, 0.5) else NEIGHBOURS + DIAGONALS
    least, new, empty = one(rng, 1, 3), colours(rng, 1)[0], chance(rng, 0.5)
    new = 0 if not empty and chance(rng, 0.4) else new
    few = chance(rng, 0.5)

    def change(grid: Cells) -> Cells:
        count = neighbours(grid > 0, steps)
        mask = (count < least) if few else (count >= least)
        return np.where(((grid == 0) == empty) & mask, np.uint8(new), grid)

    return applied(scenes(rng, side, dense=False), change)


def stamps(rng: Rng, side: int) -> Rule:
    """A pattern grows around each cell of a colour; each colour has its own."""
    size = sizes(rng, side, low=4)
    palette = colours(rng, one(rng, 1, 3))
    steps = NEIGHBOURS + DIAGONALS
    patterns = {
        colour: [(step, pick(rng, colour, *colours(rng, 1))) for step in steps if chance(rng, 0.4)]
        for colour in palette
    }
    for colour in palette:
        if chance(rng, 0.5):
            new = colours(rng, 1)[0]
            patterns[colour] = [(step, new) for step in (NEIGHBOURS if chance(rng, 0.5) else DIAGONALS)]
    count = one(rng, 1, 3)

    def rule(rng: Rng) -> tuple[Cells, Cells]:
        rows, columns = size(rng)
        grid = blank((rows, columns))
        out = grid.copy()
        for _ in range(count):
            row, column = one(rng, 0, rows - 1), one(rng, 0, columns - 1)
            colour = palette[one(rng, 0, len(palette) - 1)]
            if grid[max(row - 2, 0) : row + 3, max(column - 2, 0) : column + 3].any():
                continue
            grid[row, column] = out[row, column] = colour
            for (down, right), new in patterns[colour]:
                if 0 <= row + down < rows and 0 <= column + right < columns:
                    out[row + down, column + right] = new
        return grid, out

    return rule


def border(rng: Rng, side: int) -> Rule:
    """The cells at the edge of the grid get a colour: all of them, the corners, or one side."""
    colour, way = colours(rng, 1)[0], one(rng, 0, 4)

    def change(grid: Cells) -> Cells:
        out = grid.copy()
        if way == 0:
            out[[0, -1]] = colour
            out[:, [0, -1]] = colour
        elif way == 1:
            out[np.ix_([0, -1], [0, -1])] = colour
        elif way == 2:
            out[one_side] = colour
        elif way == 3:
            out[:, one_side] = colour
        else:
            out[1:-1, 1:-1] = colour
        return out

    one_side = pick(rng, 0, -1)
    return applied(scenes(rng, side), change)


def checker(rng: Rng, side: int) -> Rule:
    """Every second cell changes: of a checkerboard, of rows or of columns."""
    colour, way, offset, only = colours(rng, 1)[0], one(rng, 0, 2), one(rng, 0, 1), one(rng, 0, 2)

    def change(grid: Cells) -> Cells:
        rows, columns = np.indices(grid.shape)
        mask = ((rows + columns, rows, columns)[way] + offset) % 2 == 0
        if only:
            mask &= (grid > 0) == (only == 1)
        return np.where(mask, np.uint8(colour), grid)

    return applied(scenes(rng, side), change)


FAMILIES = (
    *(colour_map, swap, paint, by_frequency, one_colour, outline, inside, counting_neighbours, stamps, border, checker),
)
