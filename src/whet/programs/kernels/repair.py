"""Hidden cells from symmetry and repetition."""

from __future__ import annotations

import numpy as np

from whet.programs.compiled import compiled
from whet.programs.images import Grid


@compiled
def fill_by_symmetry(cells: Grid, hidden: int, down: int, across: int, turn: bool) -> tuple[Grid, int, bool]:
    """Hidden cells get the colours of their reflections.

    Args:
        down: the sum of a row and its mirror row; -1 for none.
        across: the sum of a column and its mirror column; -1 for none.
        turn: whether to use transposition about the main diagonal through the two axes.

    Returns:
        The filled cells, how many pairs of seen cells agree, whether all do.
    """
    height, width = cells.shape
    out = cells.copy()
    same = 0
    for row in range(height):
        for column in range(width):
            for k in range(1, 8):
                if (k & 1 and down < 0) or (k & 2 and across < 0) or (k & 4 and not turn):
                    continue
                y = down - row if k & 1 else row
                x = across - column if k & 2 else column
                if k & 4:
                    y, x = x - (across - down) // 2, y + (across - down) // 2
                if y < 0 or y >= height or x < 0 or x >= width:
                    continue
                other = cells[y, x]
                if cells[row, column] == hidden:
                    if other != hidden and out[row, column] == hidden:
                        out[row, column] = other
                elif other != hidden:
                    if other != cells[row, column]:
                        return out, 0, False
                    same += 1
    return out, same, True


@compiled
def fill_by_period(cells: Grid, hidden: int, down: int, across: int, slant: int) -> tuple[Grid, int, bool]:
    """Hidden cells get the colours that lie whole periods away, where the seen cells agree on them.

    Args:
        down: rows after which the picture repeats.
        across: columns after which it repeats.
        slant: by how many columns the repetition below is shifted.

    Returns:
        The filled cells, the number of cells still hidden, whether all seen cells agree.
    """
    height, width = cells.shape
    tile = np.full((down, across), 255, np.uint8)
    for row in range(height):
        for column in range(width):
            if cells[row, column] == hidden:
                continue
            y, x = row % down, (column - slant * (row // down)) % across
            if tile[y, x] == 255:
                tile[y, x] = cells[row, column]
            elif tile[y, x] != cells[row, column]:
                return cells, 0, False
    out = cells.copy()
    left = 0
    for row in range(height):
        for column in range(width):
            if cells[row, column] == hidden:
                value = tile[row % down, (column - slant * (row // down)) % across]
                if value == 255:
                    left += 1
                else:
                    out[row, column] = value
    return out, left, True
