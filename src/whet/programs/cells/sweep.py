"""Rules that go over the cells in reading order and also see what they have made so far: rays, waves, spreading."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from whet.programs.compiled import compiled
from whet.programs.images import Grid

MADE = ("made up", "made left", "made up left", "made up right", "made two up", "made two left")


@compiled
def made(cells: Grid) -> NDArray[np.uint8]:
    """What a rule has made around each cell when it comes there, `(6, H * W)`; 10 outside."""
    height, width = cells.shape
    out = np.full((6, height * width), 10, np.uint8)
    for row in range(height):
        for column in range(width):
            _look(cells, row, column, out[:, row * width + column])
    return out


@compiled
def _look(cells: Grid, row: int, column: int, out: NDArray[np.uint8]) -> None:
    out[0] = cells[row - 1, column] if row > 0 else 10
    out[1] = cells[row, column - 1] if column > 0 else 10
    out[2] = cells[row - 1, column - 1] if row > 0 and column > 0 else 10
    out[3] = cells[row - 1, column + 1] if row > 0 and column + 1 < cells.shape[1] else 10
    out[4] = cells[row - 2, column] if row > 1 else 10
    out[5] = cells[row, column - 2] if column > 1 else 10


@compiled
def sweep(
    nodes: NDArray[np.int32], features: NDArray[np.uint8], own: NDArray[np.uint8], height: int, width: int
) -> Grid:
    """Follows a tree cell by cell.

    Args:
        nodes: as `grow` returns them; its first six features are those of `made`.
        features: `(F, H * W)`, where the first six are filled in on the way.
        own: `(H * W,)`, the colours of the base.
    """
    out = np.zeros((height, width), np.uint8)
    seen = features.copy()
    for row in range(height):
        for column in range(width):
            cell = row * width + column
            _look(out, row, column, seen[:6, cell])
            node = 0
            while nodes[node, 0] >= 0:
                value = seen[nodes[node, 0], cell]
                yes = value == nodes[node, 2] if nodes[node, 1] == 0 else value <= nodes[node, 2]
                node = nodes[node, 3] if yes else nodes[node, 4]
            action = nodes[node, 3]
            if action == 0:
                out[row, column] = own[cell]
            elif action <= 10:
                out[row, column] = action - 1
            else:
                out[row, column] = seen[action - 11, cell]
    return out
