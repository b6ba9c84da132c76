"""Images: grids that know where in their input they lie, which is what programs compute with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from whet.programs.compiled import compiled

Grid: TypeAlias = NDArray[np.uint8]
Pairs: TypeAlias = Sequence[tuple[Grid, Grid]]
LARGEST = 30


class Image(NamedTuple):
    """A grid and the place of its upper left cell in the input that it came from. Colour 0 is empty."""

    cells: Grid
    top: int = 0
    left: int = 0

    def with_cells(self, cells: Grid) -> Image:
        """Other cells at the same place."""
        return Image(np.ascontiguousarray(cells), self.top, self.left)


Images: TypeAlias = tuple[Image, ...]
Value: TypeAlias = Image | Images


def image_of(cells: Grid) -> Image | None:
    """An image at the origin, or None if a side is 0 or more than 30."""
    height, width = cells.shape
    if not (0 < height <= LARGEST and 0 < width <= LARGEST):
        return None
    return Image(np.ascontiguousarray(cells, dtype=np.uint8))


def window(image: Image, top: int, left: int, height: int, width: int) -> Grid:
    """The cells of a part of the plane, `(height, width)`; empty where the image is not."""
    out = np.zeros((height, width), np.uint8)
    down, right = image.top - top, image.left - left
    first_row, first_column = max(down, 0), max(right, 0)
    last_row = min(down + image.cells.shape[0], height)
    last_column = min(right + image.cells.shape[1], width)
    if first_row < last_row and first_column < last_column:
        out[first_row:last_row, first_column:last_column] = image.cells[
            first_row - down : last_row - down, first_column - right : last_column - right
        ]
    return out


def bounds(cells: Grid) -> tuple[int, int, int, int] | None:
    """First row, first column, one past the last row and column that are not empty; None if all are."""
    top, left, bottom, right = _extent(cells)
    return (top, left, bottom, right) if bottom else None


@compiled
def _extent(cells: Grid) -> tuple[int, int, int, int]:
    height, width = cells.shape
    top, left, bottom, right = height, width, 0, 0
    for row in range(height):
        for column in range(width):
            if cells[row, column]:
                top, left = min(top, row), min(left, column)
                bottom, right = max(bottom, row + 1), max(right, column + 1)
    return top, left, bottom, right


def cropped(image: Image) -> Image | None:
    """The smallest part that holds every cell that is not empty; None if all are."""
    box = bounds(image.cells)
    if box is None:
        return None
    top, left, bottom, right = box
    return Image(np.ascontiguousarray(image.cells[top:bottom, left:right]), image.top + top, image.left + left)


def key(value: Value) -> int:
    """A number that equal values share."""
    if isinstance(value, Image):
        return hash((value.cells.shape, value.top, value.left, value.cells.tobytes()))
    return hash(tuple(key(image) for image in value))
