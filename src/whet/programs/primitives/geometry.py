"""Turning, cutting, scaling and repeating."""

from __future__ import annotations

import numpy as np

from whet.programs.images import Image, cropped, image_of, window
from whet.programs.registry import primitive


@primitive(
    cost=1.5, constants=("rows", "columns", "both", "transpose", "antitranspose", "left", "right"), each=True, later=1.5
)
def turn(image: Image, how: str) -> Image:
    """One of the seven symmetries of the square."""
    cells = image.cells
    if how == "rows":
        return image.with_cells(cells[::-1])
    if how == "columns":
        return image.with_cells(cells[:, ::-1])
    if how == "both":
        return image.with_cells(cells[::-1, ::-1])
    if how == "transpose":
        return image.with_cells(cells.T)
    if how == "antitranspose":
        return image.with_cells(cells[::-1, ::-1].T)
    return image.with_cells(np.rot90(cells, 1 if how == "left" else 3))


@primitive(cost=0.8, each=True)
def crop(image: Image) -> Image | None:
    """Without the empty margin."""
    return cropped(image)


@primitive(cost=2.5, each=True)
def to_origin(image: Image) -> Image:
    """Moved to the upper left corner of the plane."""
    return Image(image.cells)


@primitive(cost=2, constants=("top", "bottom", "left", "right"), later=0.5)
def half(image: Image, side: str) -> Image | None:
    """The cells on one side of the middle, without the middle row or column of an odd side."""
    height, width = image.cells.shape
    down, across = height // 2, width // 2
    if (side in ("top", "bottom") and down == 0) or (side in ("left", "right") and across == 0):
        return None
    if side == "top":
        return image.with_cells(image.cells[:down])
    if side == "bottom":
        return Image(np.ascontiguousarray(image.cells[height - down :]), image.top + height - down, image.left)
    if side == "left":
        return image.with_cells(image.cells[:, :across])
    return Image(np.ascontiguousarray(image.cells[:, width - across :]), image.top, image.left + width - across)


@primitive(cost=2, constants=(2, 3, 4, 5), each=True, later=0.5)
def enlarge(image: Image, factor: int) -> Image | None:
    """Every cell becomes a square."""
    return image_of(np.kron(image.cells, np.ones((factor, factor), np.uint8)))


@primitive(cost=2, constants=("colours", "cells", "side"))
def enlarge_by(image: Image, measure: str) -> Image | None:
    """Every cell becomes a square whose side is the number of colours, of cells that are not empty, or the height."""
    cells = image.cells
    if measure == "colours":
        factor = int((np.bincount(cells.ravel(), minlength=10)[1:] > 0).sum())
    elif measure == "cells":
        factor = int((cells > 0).sum())
    else:
        factor = cells.shape[0]
    if factor < 2 or factor * max(cells.shape) > 30:
        return None
    return enlarge(image, factor)


@primitive(cost=1.2, each=True)
def shrink(image: Image) -> Image | None:
    """One cell for every square, with the largest squares that have one colour each."""
    cells = image.cells
    height, width = cells.shape
    for factor in range(min(height, width), 1, -1):
        if height % factor == 0 and width % factor == 0:
            small = cells[::factor, ::factor]
            if np.array_equal(np.kron(small, np.ones((factor, factor), np.uint8)), cells):
                return image.with_cells(small)
    return None


@primitive(cost=1.5, each=True, later=0.5)
def without_repeats(image: Image) -> Image:
    """Rows and columns that equal the one before them are dropped."""
    cells = image.cells
    rows = np.append(True, (cells[1:] != cells[:-1]).any(axis=1))
    columns = np.append(True, (cells[:, 1:] != cells[:, :-1]).any(axis=0))
    return image.with_cells(cells[rows][:, columns])


@primitive(cost=2, constants=("rows", "columns", "both"), each=True)
def without_empty(image: Image, which: str) -> Image | None:
    """Empty rows or columns are dropped."""
    cells = image.cells
    if which != "columns":
        cells = cells[cells.any(axis=1)]
    if which != "rows":
        cells = cells[:, cells.any(axis=0)]
    return image.with_cells(cells) if cells.size else None


@primitive(cost=2, constants=("12", "21", "22", "13", "31", "33"), later=0.5)
def repeat(image: Image, times: str) -> Image | None:
    """Copies side by side, as many down and across as the two digits say."""
    return image_of(np.tile(image.cells, (int(times[0]), int(times[1]))))


@primitive(cost=1.7, constants=("right", "left", "below", "above", "four", "four inward", "turned"), later=1)
def mirror(image: Image, where: str) -> Image | None:
    """The image with its reflection beside it, or with three of them, or with its three turns."""
    cells = image.cells
    rows, columns, both = cells[::-1], cells[:, ::-1], cells[::-1, ::-1]
    if where == "right":
        return image_of(np.hstack([cells, columns]))
    if where == "left":
        return image_of(np.hstack([columns, cells]))
    if where == "below":
        return image_of(np.vstack([cells, rows]))
    if where == "above":
        return image_of(np.vstack([rows, cells]))
    if where == "four":
        return image_of(np.block([[cells, columns], [rows, both]]))
    if where == "four inward":
        return image_of(np.block([[both, rows], [columns, cells]]))
    if cells.shape[0] != cells.shape[1]:
        return None
    return image_of(np.block([[cells, np.rot90(cells, 3)], [np.rot90(cells, 1), both]]))


@primitive(cost=2, constants=(1, 2), each=True, later=0.5)
def peel(image: Image, width: int) -> Image | None:
    """Without its outer cells."""
    cells = image.cells[width:-width, width:-width]
    return Image(np.ascontiguousarray(cells), image.top + width, image.left + width) if cells.size else None


@primitive(cost=3, constants=(1,))
def pad(image: Image, width: int) -> Image | None:
    """With empty cells around it."""
    cells = np.pad(image.cells, width)
    return Image(cells, image.top - width, image.left - width) if max(cells.shape) <= 30 else None


@primitive(cost=2.5, constants=("down", "right", "both"))
def extended(image: Image, how: str) -> Image | None:
    """With as many empty rows below, columns to the right, or both, as it has."""
    height, width = image.cells.shape
    room = ((0, height * (how != "right")), (0, width * (how != "down")))
    cells = np.pad(image.cells, room)
    return image.with_cells(cells) if max(cells.shape) <= 30 else None


@primitive(cost=4, constants=("up", "down", "left", "right", "row", "column"))
def roll(image: Image, how: str) -> Image:
    """Shifted by one cell; what leaves on one side enters on the other, for `row` and `column` in every other one."""
    cells = image.cells
    if how in ("up", "down"):
        return image.with_cells(np.roll(cells, -1 if how == "up" else 1, axis=0))
    if how in ("left", "right"):
        return image.with_cells(np.roll(cells, -1 if how == "left" else 1, axis=1))
    out = cells.copy()
    if how == "row":
        out[1::2] = np.roll(cells[1::2], 1, axis=1)
    else:
        out[:, 1::2] = np.roll(cells[:, 1::2], 1, axis=0)
    return image.with_cells(out)


@primitive(cost=3, constants=("top row", "bottom row", "left column", "right column", "corners"))
def edge(image: Image, which: str) -> Image | None:
    """The outermost row or column, or the four corner cells as a square."""
    cells = image.cells
    height, width = cells.shape
    if which == "top row":
        return image.with_cells(cells[:1])
    if which == "bottom row":
        return Image(cells[-1:].copy(), image.top + height - 1, image.left)
    if which == "left column":
        return image.with_cells(cells[:, :1])
    if which == "right column":
        return Image(cells[:, -1:].copy(), image.top, image.left + width - 1)
    return image.with_cells(cells[[0, 0, -1, -1], [0, -1, 0, -1]].reshape(2, 2))


@primitive(
    cost=3.5,
    constants=tuple(
        f"{side} {n}"
        for side in ("top left", "top right", "bottom left", "bottom right", "middle")
        for n in (1, 2, 3, 4, 5)
    ),
)
def corner(image: Image, which: str) -> Image | None:
    """The square of so many cells in a corner or in the middle."""
    side, size = which.rsplit(" ", 1)
    height, width = image.cells.shape
    n = int(size)
    if n > min(height, width) or (side == "middle" and ((height - n) % 2 or (width - n) % 2)):
        return None
    row = (height - n) // 2 if side == "middle" else 0 if side.startswith("top") else height - n
    column = (width - n) // 2 if side == "middle" else 0 if side.endswith("left") else width - n
    return Image(image.cells[row : row + n, column : column + n].copy(), image.top + row, image.left + column)


@primitive(cost=0.8)
def unit(image: Image) -> Image | None:
    """The smallest part whose copies side by side are the image."""
    cells = image.cells
    height, width = cells.shape
    rows = next(n for n in range(1, height + 1) if height % n == 0 and np.array_equal(cells[n:], cells[: height - n]))
    across = next(
        n for n in range(1, width + 1) if width % n == 0 and np.array_equal(cells[:, n:], cells[:, : width - n])
    )
    return None if (rows, across) == (height, width) else image.with_cells(cells[:rows, :across])


@primitive(cost=2)
def cut_to(image: Image, frame: Image) -> Image:
    """The part of the first image that lies where the second does."""
    height, width = frame.cells.shape
    return Image(window(image, frame.top, frame.left, height, width), frame.top, frame.left)


@primitive(cost=3)
def tile_to(image: Image, frame: Image) -> Image:
    """Copies of the first image over the extent of the second."""
    height, width = frame.cells.shape
    down, across = -(-height // image.cells.shape[0]), -(-width // image.cells.shape[1])
    return frame.with_cells(np.tile(image.cells, (down, across))[:height, :width])


@primitive(cost=3)
def kron(pattern: Image, image: Image) -> Image | None:
    """A copy of the second image for every cell of the first that is not empty, and emptiness for the others."""
    if max(pattern.cells.shape) * max(image.cells.shape) > 30:
        return None
    return image_of(np.kron((pattern.cells > 0).astype(np.uint8), image.cells))


@primitive(cost=3)
def kron_colours(pattern: Image, image: Image) -> Image | None:
    """A copy of the second image for every cell of the first, in the colour of that cell."""
    if max(pattern.cells.shape) * max(image.cells.shape) > 30:
        return None
    return image_of(np.kron(pattern.cells, (image.cells > 0).astype(np.uint8)))
