"""Rays, lines between cells, and falling."""

from __future__ import annotations

import numpy as np

from whet.programs.compiled import compiled
from whet.programs.images import Grid
from whet.programs.kernels.regions import Labels


@compiled
def cast_rays(cells: Grid, dy: int, dx: int) -> Grid:
    """Every cell's colour goes on in one direction over empty cells, until it meets another that is not empty."""
    height, width = cells.shape
    out = cells.copy()
    for i in range(height):
        row = i if dy >= 0 else height - 1 - i
        for j in range(width):
            column = j if dx >= 0 else width - 1 - j
            y, x = row - dy, column - dx
            if out[row, column] == 0 and 0 <= y < height and 0 <= x < width:
                out[row, column] = out[y, x]
    return out


@compiled
def join(cells: Grid, dy: int, dx: int, same: bool) -> Grid:
    """Empty cells between two that are not, in a straight line, get the colour of the first.

    Args:
        same: whether both ends must have one colour.
    """
    height, width = cells.shape
    out = cells.copy()
    for row in range(height):
        for column in range(width):
            if cells[row, column] == 0:
                continue
            y, x = row + dy, column + dx
            while 0 <= y < height and 0 <= x < width and cells[y, x] == 0:
                y, x = y + dy, x + dx
            if not (0 <= y < height and 0 <= x < width) or (same and cells[y, x] != cells[row, column]):
                continue
            y, x = row + dy, column + dx
            while cells[y, x] == 0:
                out[y, x] = cells[row, column]
                y, x = y + dy, x + dx
    return out


@compiled
def drop_cells(cells: Grid, dy: int, dx: int) -> Grid:
    """Every cell that is not empty falls in one direction as far as it can."""
    height, width = cells.shape
    out = np.zeros((height, width), np.uint8)
    if dx == 0:
        for column in range(width):
            place = height - 1 if dy > 0 else 0
            for i in range(height):
                row = height - 1 - i if dy > 0 else i
                if cells[row, column]:
                    out[place, column] = cells[row, column]
                    place -= dy
        return out
    for row in range(height):
        place = width - 1 if dx > 0 else 0
        for i in range(width):
            column = width - 1 - i if dx > 0 else i
            if cells[row, column]:
                out[row, place] = cells[row, column]
                place -= dx
    return out


@compiled
def drop_components(cells: Grid, labels: Labels, found: int, dy: int, dx: int, still: int) -> Grid:
    """Every component moves in one direction as far as it can without leaving or overlapping another.

    Args:
        still: a colour whose components stay where they are; 0 for none.
    """
    height, width = cells.shape
    place = labels.copy()
    shift = np.zeros((found + 1, 2), np.int32)
    fixed = np.zeros(found + 1, np.bool_)
    if still:
        for row in range(height):
            for column in range(width):
                if cells[row, column] == still:
                    fixed[labels[row, column]] = True
    moved = True
    while moved:
        moved = False
        for one in range(1, found + 1):
            if fixed[one]:
                continue
            free = True
            for row in range(height):
                for column in range(width):
                    if place[row, column] == one:
                        y, x = row + dy, column + dx
                        if y < 0 or y >= height or x < 0 or x >= width or (place[y, x] != 0 and place[y, x] != one):
                            free = False
            if not free:
                continue
            moved = True
            shift[one, 0] += dy
            shift[one, 1] += dx
            for row in range(height):
                for column in range(width):
                    if place[row, column] == one:
                        place[row, column] = 0
            for row in range(height):
                for column in range(width):
                    if labels[row, column] == one:
                        place[row + shift[one, 0], column + shift[one, 1]] = one
    out = np.zeros((height, width), np.uint8)
    for row in range(height):
        for column in range(width):
            one = labels[row, column]
            if one:
                out[row + shift[one, 0], column + shift[one, 1]] = cells[row, column]
    return out
