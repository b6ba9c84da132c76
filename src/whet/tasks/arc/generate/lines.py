"""Rules of lines, falling and filling."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from whet.tasks.arc.generate.scenes import (
    DIAGONALS,
    NEIGHBOURS,
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
    rectangle,
    sizes,
)


def rays(rng: Rng, side: int) -> Rule:
    """Lines from each cell of a colour: straight or diagonal, in some directions, perhaps until an obstacle."""
    size = sizes(rng, side)
    palette = colours(rng, one(rng, 1, 3))
    directions = NEIGHBOURS if chance(rng, 0.7) else DIAGONALS
    chosen = [directions[int(i)] for i in rng.permutation(4)[: pick(rng, 1, 1, 2, 4)]]
    wall = next(colour for colour in colours(rng, 9) if colour not in palette)
    walls, count = chance(rng, 0.4), one(rng, 1, 3)
    painted = 0 if chance(rng, 0.7) else wall % 9 + 1

    def rule(rng: Rng) -> tuple[Cells, Cells]:
        rows, columns = size(rng)
        grid = noise(rng, (rows, columns), [wall], 0.15) if walls else blank((rows, columns))
        starts = [(one(rng, 0, rows - 1), one(rng, 0, columns - 1)) for _ in range(count)]
        for row, column in starts:
            grid[row, column] = palette[one(rng, 0, len(palette) - 1)]
        out = grid.copy()
        for row, column in starts:
            for down, right in chosen:
                r, c = row + down, column + right
                while 0 <= r < rows and 0 <= c < columns and grid[r, c] == 0:
                    out[r, c] = painted or grid[row, column]
                    r, c = r + down, c + right
        return grid, out

    return rule


def connect(rng: Rng, side: int) -> Rule:
    """Cells of one colour in one row, or in one column, are joined."""
    size = sizes(rng, side, low=4)
    palette = colours(rng, one(rng, 1, 3))
    way, painted = one(rng, 0, 2), 0 if chance(rng, 0.6) else colours(rng, 1)[0]

    def joined(grid: Cells, out: Cells) -> None:
        for source, target in zip(grid, out, strict=True):
            for colour in palette:
                places = np.flatnonzero(source == colour)
                if len(places) > 1:
                    between = slice(int(places[0]) + 1, int(places[-1]))
                    target[between] = np.where(source[between] == 0, painted or colour, target[between])

    def rule(rng: Rng) -> tuple[Cells, Cells]:
        rows, columns = size(rng)
        grid = blank((rows, columns))
        for number in range(one(rng, 1, 3)):
            colour = palette[number % len(palette)]
            if way == 0 or (way == 2 and number % 2):
                grid[one(rng, 0, rows - 1), rng.permutation(columns)[:2]] = colour
            else:
                grid[rng.permutation(rows)[:2], one(rng, 0, columns - 1)] = colour
        out = grid.copy()
        if way != 1:
            joined(grid, out)
        if way != 0:
            joined(grid.T, out.T)
        return grid, out

    return rule


def full_lines(rng: Rng, side: int) -> Rule:
    """Each cell that has a colour paints its row, its column, or both."""
    size = sizes(rng, side)
    palette = colours(rng, one(rng, 1, 3))
    ways = {colour: one(rng, 0, 2) for colour in palette}

    def rule(rng: Rng) -> tuple[Cells, Cells]:
        rows, columns = size(rng)
        grid = blank((rows, columns))
        for number in range(one(rng, 1, 2)):
            grid[one(rng, 0, rows - 1), one(rng, 0, columns - 1)] = palette[number % len(palette)]
        out = grid.copy()
        for row, column in np.argwhere(grid):
            colour = int(grid[row, column])
            if ways[colour] != 1:
                out[row] = colour
            if ways[colour] != 0:
                out[:, column] = colour
        return grid, np.where(grid > 0, grid, out)

    return rule


def gravity(rng: Rng, side: int) -> Rule:
    """All cells fall to one side."""
    size = sizes(rng, side)
    palette = colours(rng, one(rng, 1, 4))
    density, turns = float(rng.uniform(0.2, 0.5)), one(rng, 0, 3)

    def rule(rng: Rng) -> tuple[Cells, Cells]:
        grid = noise(rng, size(rng), palette, density)
        turned = np.rot90(grid, turns)
        order = np.argsort(turned > 0, axis=0, kind="stable")
        return grid, np.rot90(np.take_along_axis(turned, order, axis=0), -turns)

    return rule


def enclosed(rng: Rng, side: int) -> Rule:
    """What is closed in gets a colour, or what is not."""
    size = sizes(rng, side, low=5)
    wall, inner, outer = colours(rng, 3)
    way, mess = one(rng, 0, 2), chance(rng, 0.4)

    def rule(rng: Rng) -> tuple[Cells, Cells]:
        grid = blank(size(rng))
        for _ in range(one(rng, 1, 2)):
            place(rng, grid, rectangle(rng, grid.shape, low=3, hollow=True), wall)
        if mess:
            grid = np.maximum(grid, noise(rng, grid.shape, [wall], 0.15))
        open_cells = np.pad(grid == 0, 1, constant_values=True)
        label = ndimage.label(open_cells)[0]
        outside = (label == label[0, 0])[1:-1, 1:-1]
        out = grid.copy()
        if way != 1:
            out[(grid == 0) & ~outside] = inner
        if way != 0:
            out[outside] = outer
        return grid, out

    return rule


def flood(rng: Rng, side: int) -> Rule:
    """A colour spreads from a cell up to walls."""
    size = sizes(rng, side, low=4)
    wall, *seeds = colours(rng, 4)
    lines = chance(rng, 0.6)

    def rule(rng: Rng) -> tuple[Cells, Cells]:
        rows, columns = size(rng)
        grid = blank((rows, columns)) if lines else noise(rng, (rows, columns), [wall], 0.4)
        if lines:
            grid[one(rng, 1, rows - 2)] = wall
            grid[:, one(rng, 1, columns - 2)] = wall
        free = np.argwhere(grid == 0)
        out = grid.copy()
        label = ndimage.label(grid == 0)[0]
        for number in range(min(len(free), one(rng, 1, 2))):
            row, column = free[one(rng, 0, len(free) - 1)]
            grid[row, column] = seeds[number]
            out[label == label[row, column]] = seeds[number]
        return grid, out

    return rule


def periodic(rng: Rng, side: int) -> Rule:
    """A pattern that repeats, of which the end, or a part, is missing."""
    size = sizes(rng, side, low=4)
    turn, diagonal, hole = chance(rng, 0.5), chance(rng, 0.3), 0 if chance(rng, 0.6) else colours(rng, 1)[0]
    palette = [colour for colour in colours(rng, 5) if colour != hole]
    at_end = chance(rng, 0.6)

    def rule(rng: Rng) -> tuple[Cells, Cells]:
        rows, columns = size(rng)
        period = one(rng, 1 if diagonal else 2, max(2, rows // 2))
        base = rng.choice(np.array(palette, np.uint8), size=(period + int(diagonal), columns))
        if diagonal:
            line = base[:, 0]
            out = line[np.add.outer(np.arange(rows), np.arange(columns)) % len(line)]
        else:
            out = base[np.arange(rows) % period]
        grid = out.copy()
        if at_end and not diagonal:
            grid[min(rows - 1, period + one(rng, 0, 1)) :] = hole
        else:
            row, column = one(rng, 0, rows - 2), one(rng, 0, columns - 2)
            grid[row : row + one(rng, 1, 2), column : column + one(rng, 1, 2)] = hole
        return (grid.T, out.T) if turn else (grid, out)

    return rule


def falling_shape(rng: Rng, side: int) -> Rule:
    """A shape moves towards a wall until it touches it."""
    size = sizes(rng, side, low=5)
    wall, moving = colours(rng, 2)
    turns = one(rng, 0, 3)

    def rule(rng: Rng) -> tuple[Cells, Cells]:
        rows, columns = size(rng)
        grid = blank((rows, columns))
        grid[-1] = wall
        if chance(rng, 0.5):
            stop = one(rng, rows - 2, rows - 1)
            grid[stop:] = wall
        shape = blob(rng, one(rng, 1, 4))
        free = np.flatnonzero(grid.any(axis=1))[0]
        if shape.shape[0] > free or shape.shape[1] > columns:
            shape = np.ones((1, 1), np.uint8)
        column = one(rng, 0, columns - shape.shape[1])
        row = one(rng, 0, int(free) - shape.shape[0])
        out = grid.copy()
        grid[row : row + shape.shape[0], column : column + shape.shape[1]] += shape * np.uint8(moving)
        out[free - shape.shape[0] : free, column : column + shape.shape[1]] += shape * np.uint8(moving)
        return np.rot90(grid, turns), np.rot90(out, turns)

    return rule


def mirrored_half(rng: Rng, side: int) -> Rule:
    """What is on one side of a line comes to the other side too, flipped or as it is."""
    size = sizes(rng, side, low=5)
    wall, *palette = colours(rng, one(rng, 2, 4))
    turn, as_it_is, density = chance(rng, 0.5), chance(rng, 0.4), float(rng.uniform(0.2, 0.6))

    def rule(rng: Rng) -> tuple[Cells, Cells]:
        rows, columns = size(rng)
        n = (columns - 1) // 2
        left = noise(rng, (rows, n), palette, density)
        line = blank((rows, 1), wall)
        grid = np.hstack([left, line, np.zeros_like(left)])
        out = np.hstack([left, line, left if as_it_is else left[:, ::-1]])
        return (grid.T, out.T) if turn else (grid, out)

    return rule


FAMILIES = (*(rays, connect, full_lines, gravity, enclosed, flood, periodic, falling_shape, mirrored_half),)
