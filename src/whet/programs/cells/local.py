"""What a cell and its surroundings look like: colours near it, on its lines, at its reflections; counts and places."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.programs.compiled import compiled
from whet.programs.images import Grid

Features = NDArray[np.uint8]

NONE = 10
TOP = 63
_WAYS = ("up", "up right", "right", "down right", "down", "down left", "left", "up left")
COLOUR_NAMES = (
    "own",
    *(f"{way} neighbour" for way in _WAYS),
    *(f"seen {way}" for way in _WAYS),
    *(f"other {way}" for way in _WAYS[::2]),
    *(f"between {way}" for way in ("upright", "antidiagonal", "across", "diagonal")),
    *(f"two {way}" for way in _WAYS[::2]),
    "row's usual",
    "column's usual",
    "row's first",
    "row's last",
    "column's first",
    "column's last",
    "most common",
    "least common",
    "background",
    "neighbours' usual",
    "mirrored rows",
    "mirrored columns",
    "turned half",
    "transposed",
    "antitransposed",
    "turned left",
    "turned right",
    *(f"foreign {way}" for way in _WAYS),
)
NUMBER_NAMES = (
    "row",
    "column",
    "row from bottom",
    "column from right",
    "row mod 2",
    "column mod 2",
    "row mod 3",
    "column mod 3",
    "row + column mod 2",
    "row + column mod 3",
    "row - column mod 3",
    "from edge",
    "on diagonal",
    "on antidiagonal",
    "filled in row",
    "filled in column",
    "own in row",
    "own in column",
    "equal sides",
    "equal corners",
    "filled sides",
    "filled corners",
    "own count",
    "own rank",
    "row full",
    "column full",
    "colours",
    *(f"steps {way}" for way in _WAYS[::2]),
    *(f"row has {colour}" for colour in range(10)),
    *(f"column has {colour}" for colour in range(10)),
    *(f"sides of {colour}" for colour in range(10)),
    *(f"around of {colour}" for colour in range(10)),
    "nearer upright",
    "nearer across",
    "square side",
    "run across",
    "run upright",
)


@compiled
def _counts(cells: Grid) -> Any:
    """Cells of each colour by row `(height, 10)`, by column `(width, 10)`, and in all `(10,)`."""
    height, width = cells.shape
    rows = np.zeros((height, 10), np.int64)
    columns = np.zeros((width, 10), np.int64)
    total = np.zeros(10, np.int64)
    for row in range(height):
        for column in range(width):
            colour = cells[row, column]
            rows[row, colour] += 1
            columns[column, colour] += 1
            total[colour] += 1
    return rows, columns, total


@compiled
def _usual(number: NDArray[np.int64]) -> int:
    """The colour with the largest count, 0 aside; 0 if none is there."""
    best = 0
    for colour in range(1, 10):
        if number[colour] > 0 and (best == 0 or number[colour] > number[best]):
            best = colour
    return best


@compiled
def colours_of(cells: Grid) -> Features:
    """The features that are colours, `(F, height, width)`; 10 where there is none."""
    height, width = cells.shape
    dy = np.array([-1, -1, 0, 1, 1, 1, 0, -1])
    dx = np.array([0, 1, 1, 1, 0, -1, -1, -1])
    out = np.full((54, height, width), 10, np.uint8)
    rows, columns, total = _counts(cells)
    most = _usual(total)
    least = most
    for colour in range(1, 10):
        if 0 < total[colour] < total[least]:
            least = colour
    background = np.argmax(total)
    around = np.zeros(10, np.int64)
    for row in range(height):
        usual = _usual(rows[row])
        for column in range(width):
            own = cells[row, column]
            out[0, row, column] = own
            around[:] = 0
            for way in range(8):
                y, x = row + dy[way], column + dx[way]
                first = True
                seen, other, foreign = 10, 10, 10
                steps = 0
                while 0 <= y < height and 0 <= x < width:
                    value = cells[y, x]
                    steps += 1
                    if first:
                        out[1 + way, row, column] = value
                        around[value] += 1
                        first = False
                    if steps == 2 and way % 2 == 0:
                        out[25 + way // 2, row, column] = value
                    if seen == 10 and value != 0:
                        seen = value
                    if other == 10 and value != own:
                        other = value
                    if foreign == 10 and value != 0 and value != own:
                        foreign = value
                    if foreign != 10 and other != 10 and steps >= 2:
                        break
                    y, x = y + dy[way], x + dx[way]
                out[9 + way, row, column] = seen
                out[46 + way, row, column] = foreign
                if way % 2 == 0:
                    out[17 + way // 2, row, column] = other
            for way in range(4):
                if out[9 + way, row, column] == out[13 + way, row, column]:
                    out[21 + way, row, column] = out[9 + way, row, column]
            out[29, row, column] = usual
            out[30, row, column] = _usual(columns[column])
            out[31, row, column] = cells[row, 0]
            out[32, row, column] = cells[row, width - 1]
            out[33, row, column] = cells[0, column]
            out[34, row, column] = cells[height - 1, column]
            out[35, row, column] = most
            out[36, row, column] = least
            out[37, row, column] = background
            out[38, row, column] = _usual(around)
            out[39, row, column] = cells[height - 1 - row, column]
            out[40, row, column] = cells[row, width - 1 - column]
            out[41, row, column] = cells[height - 1 - row, width - 1 - column]
            if height == width:
                out[42, row, column] = cells[column, row]
                out[43, row, column] = cells[width - 1 - column, height - 1 - row]
                out[44, row, column] = cells[column, height - 1 - row]
                out[45, row, column] = cells[width - 1 - column, row]
    return out


@compiled
def numbers_of(cells: Grid) -> Features:
    """The features that are numbers, `(F, height, width)`, at most 63."""
    height, width = cells.shape
    out = np.zeros((76, height, width), np.uint8)
    rows, columns, total = _counts(cells)
    for row in range(height):
        for column in range(width):
            own = cells[row, column]
            out[0, row, column] = row
            out[1, row, column] = column
            out[2, row, column] = height - 1 - row
            out[3, row, column] = width - 1 - column
            out[4, row, column] = row % 2
            out[5, row, column] = column % 2
            out[6, row, column] = row % 3
            out[7, row, column] = column % 3
            out[8, row, column] = (row + column) % 2
            out[9, row, column] = (row + column) % 3
            out[10, row, column] = (row - column) % 3
            out[11, row, column] = min(row, column, height - 1 - row, width - 1 - column)
            out[12, row, column] = row == column
            out[13, row, column] = row + column == width - 1
            out[14, row, column] = width - rows[row, 0]
            out[15, row, column] = height - columns[column, 0]
            out[16, row, column] = rows[row, own]
            out[17, row, column] = columns[column, own]
            for dy in range(-1, 2):
                for dx in range(-1, 2):
                    y, x = row + dy, column + dx
                    if (dy == 0 and dx == 0) or y < 0 or y >= height or x < 0 or x >= width:
                        continue
                    value = cells[y, x]
                    corner = dy != 0 and dx != 0
                    out[18 + corner, row, column] += value == own
                    out[20 + corner, row, column] += value != 0
                    out[61 + value, row, column] += 1
                    if not corner:
                        out[51 + value, row, column] += 1
            out[22, row, column] = min(63, total[own])
            for colour in range(10):
                if total[colour] > total[own]:
                    out[23, row, column] += 1
                out[26, row, column] += total[colour] > 0
                out[31 + colour, row, column] = rows[row, colour] > 0
                out[41 + colour, row, column] = columns[column, colour] > 0
            out[24, row, column] = rows[row, own] == width
            out[25, row, column] = columns[column, own] == height
            for way in range(4):
                dy = -1 if way == 0 else 1 if way == 2 else 0
                dx = 1 if way == 1 else -1 if way == 3 else 0
                y, x = row + dy, column + dx
                steps = 1
                while 0 <= y < height and 0 <= x < width and cells[y, x] == 0:
                    steps += 1
                    y, x = y + dy, x + dx
                inside = 0 <= y < height and 0 <= x < width
                out[27 + way, row, column] = steps if inside else 63
            out[71, row, column] = _compare(out[27, row, column], out[29, row, column])
            out[72, row, column] = _compare(out[30, row, column], out[28, row, column])
    _runs(cells, out[73], out[74], out[75])
    return out


@compiled
def _compare(first: int, second: int) -> int:
    """Which of two distances is less: 0 the first, 1 neither, 2 the second."""
    return 0 if first < second else 1 if first == second else 2


@compiled
def _runs(cells: Grid, squares: Grid, across: Grid, upright: Grid) -> None:
    """For every cell the side of the largest square of its colour that holds it, and the lengths of its runs."""
    height, width = cells.shape
    sides = np.ones((height, width), np.int64)
    for row in range(height):
        for column in range(width):
            own = cells[row, column]
            if row and column:
                near = cells[row - 1, column] == own and cells[row, column - 1] == own
                if near and cells[row - 1, column - 1] == own:
                    smallest = min(sides[row - 1, column], sides[row, column - 1], sides[row - 1, column - 1])
                    sides[row, column] = smallest + 1
            side = sides[row, column]
            for y in range(row - side + 1, row + 1):
                for x in range(column - side + 1, column + 1):
                    squares[y, x] = max(squares[y, x], side)
    for row in range(height):
        first = 0
        for column in range(1, width + 1):
            if column == width or cells[row, column] != cells[row, first]:
                across[row, first:column] = column - first
                first = column
    for column in range(width):
        first = 0
        for row in range(1, height + 1):
            if row == height or cells[row, column] != cells[first, column]:
                upright[first:row, column] = row - first
                first = row
