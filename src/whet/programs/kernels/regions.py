"""Connected components, enclosed cells, flooding, rectangles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from whet.programs.compiled import compiled
from whet.programs.images import Grid

Labels = NDArray[np.int32]


@compiled
def label(cells: Grid, diagonal: bool, by_colour: bool, of_empty: bool) -> tuple[Labels, int]:
    """Connected components of the cells that are not empty, or of those that are.

    Returns:
        The component of each cell from 1, in reading order of their first cells, 0 elsewhere; and how many there are.
    """
    height, width = cells.shape
    labels = np.zeros((height, width), np.int32)
    stack = np.empty((height * width, 2), np.int32)
    found = 0
    for row in range(height):
        for column in range(width):
            if labels[row, column] or (cells[row, column] == 0) != of_empty:
                continue
            found += 1
            labels[row, column] = found
            stack[0, 0], stack[0, 1] = row, column
            size = 1
            while size:
                size -= 1
                y, x = stack[size, 0], stack[size, 1]
                for dy in range(-1, 2):
                    for dx in range(-1, 2):
                        if (dy == 0 and dx == 0) or (not diagonal and dy != 0 and dx != 0):
                            continue
                        v, u = y + dy, x + dx
                        if v < 0 or v >= height or u < 0 or u >= width or labels[v, u]:
                            continue
                        if (cells[v, u] == 0) != of_empty or (by_colour and cells[v, u] != cells[y, x]):
                            continue
                        labels[v, u] = found
                        stack[size, 0], stack[size, 1] = v, u
                        size += 1
    return labels, found


@compiled
def boxes(labels: Labels, found: int) -> Labels:
    """First row, first column, one past the last row and column of every component, `(found, 4)`."""
    out = np.empty((found, 4), np.int32)
    out[:, 0] = labels.shape[0]
    out[:, 1] = labels.shape[1]
    out[:, 2] = 0
    out[:, 3] = 0
    for row in range(labels.shape[0]):
        for column in range(labels.shape[1]):
            one = labels[row, column] - 1
            if one >= 0:
                out[one, 0] = min(out[one, 0], row)
                out[one, 1] = min(out[one, 1], column)
                out[one, 2] = max(out[one, 2], row + 1)
                out[one, 3] = max(out[one, 3], column + 1)
    return out


@compiled
def outside(cells: Grid, diagonal: bool) -> NDArray[np.bool_]:
    """The empty cells from which a path of empty cells leads to the edge."""
    height, width = cells.shape
    reached = np.zeros((height, width), np.bool_)
    stack = np.empty((height * width, 2), np.int32)
    size = 0
    for row in range(height):
        for column in range(width):
            edge = row == 0 or column == 0 or row == height - 1 or column == width - 1
            if edge and cells[row, column] == 0:
                reached[row, column] = True
                stack[size, 0], stack[size, 1] = row, column
                size += 1
    while size:
        size -= 1
        y, x = stack[size, 0], stack[size, 1]
        for dy in range(-1, 2):
            for dx in range(-1, 2):
                if not diagonal and dy != 0 and dx != 0:
                    continue
                v, u = y + dy, x + dx
                if v < 0 or v >= height or u < 0 or u >= width or reached[v, u] or cells[v, u] != 0:
                    continue
                reached[v, u] = True
                stack[size, 0], stack[size, 1] = v, u
                size += 1
    return reached


@compiled
def flow(cells: Grid, source: int) -> Grid:
    """Colours go on over empty cells side by side, one step at a time; the earlier cell in reading order wins.

    Args:
        source: the colour that goes on; 0 for all.
    """
    height, width = cells.shape
    out = cells.copy()
    queue = np.empty((height * width, 2), np.int32)
    size = 0
    for row in range(height):
        for column in range(width):
            if cells[row, column] != 0 and (source == 0 or cells[row, column] == source):
                queue[size, 0], queue[size, 1] = row, column
                size += 1
    place = 0
    while place < size:
        y, x = queue[place, 0], queue[place, 1]
        place += 1
        for way in range(4):
            v = y + (way == 2) - (way == 0)
            u = x + (way == 1) - (way == 3)
            if 0 <= v < height and 0 <= u < width and out[v, u] == 0:
                out[v, u] = out[y, x]
                queue[size, 0], queue[size, 1] = v, u
                size += 1
    return out


@compiled
def largest_of(cells: Grid, colour: int) -> tuple[int, int, int, int]:
    """First row, first column, one past the last row and column of the largest rectangle of a colour; zeros if none."""
    height, width = cells.shape
    depth = np.zeros(width, np.int64)
    best, top, left, bottom, right = 0, 0, 0, 0, 0
    for row in range(height):
        for column in range(width):
            depth[column] = depth[column] + 1 if cells[row, column] == colour else 0
        for first in range(width):
            low = depth[first]
            for last in range(first, width):
                low = min(low, depth[last])
                if low == 0:
                    break
                if low * (last - first + 1) > best:
                    best = low * (last - first + 1)
                    top, left, bottom, right = row - low + 1, first, row + 1, last + 1
    return top, left, bottom, right
