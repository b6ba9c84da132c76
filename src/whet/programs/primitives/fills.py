"""Insides, outlines and boxes of what is not empty."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from whet.programs.images import Image
from whet.programs.kernels.regions import boxes, label, largest_of, outside
from whet.programs.primitives.colour import most_common
from whet.programs.registry import COLOURS, primitive


@primitive(cost=2, constants=(0, *COLOURS), each=True)
def fill(image: Image, colour: int) -> Image:
    """Enclosed empty cells get a colour; with 0, the most common one."""
    inside = (image.cells == 0) & ~outside(image.cells, False)
    return image.with_cells(np.where(inside, np.uint8(colour or most_common(image.cells)), image.cells))


@primitive(cost=2, constants=("4", "8"), each=True)
def enclosed(image: Image, paths: str) -> Image:
    """The empty cells from which no path, by sides or corners too, leads to the edge, in the most common colour."""
    inside = (image.cells == 0) & ~outside(image.cells, paths == "8")
    return image.with_cells(inside * np.uint8(most_common(image.cells)))


@primitive(cost=2)
def fill_each(image: Image) -> Image:
    """Enclosed empty cells get the colour of the component around them."""
    if not ((image.cells == 0) & ~outside(image.cells, False)).any():
        return image
    labels, found = label(image.cells, True, True, False)
    out = image.cells.copy()
    order = sorted(
        (((c - a) * (d - b), one, a, b, c, d) for one, (a, b, c, d) in enumerate(boxes(labels, found).tolist())),
        reverse=True,
    )
    for _, one, a, b, c, d in order:
        part = (labels[a:c, b:d] == one + 1).astype(np.uint8)
        inside = (part == 0) & ~outside(part, False) & (image.cells[a:c, b:d] == 0)
        if inside.any():
            out[a:c, b:d][inside] = image.cells[a:c, b:d][part > 0][0]
    return image.with_cells(out)


def _neighbours(filled: NDArray[np.bool_], diagonal: bool) -> NDArray[np.int16]:
    """For every cell, how many of its four or eight neighbours are set; those outside are not."""
    wide = np.pad(filled.astype(np.int16), 1)
    height, width = filled.shape
    total = np.zeros((height, width), np.int16)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            if (dy or dx) and (diagonal or not (dy and dx)):
                total += wide[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]
    return total


@primitive(cost=2, constants=("4", "8"), each=True)
def interior(image: Image, kind: str) -> Image:
    """The cells whose four or eight neighbours are not empty."""
    full = _neighbours(image.cells > 0, kind == "8") == int(kind)
    return image.with_cells(np.where(full, image.cells, 0))


@primitive(cost=2, constants=("4", "8"), each=True)
def rim(image: Image, kind: str) -> Image:
    """The cells that have an empty neighbour, or none on one side."""
    full = _neighbours(image.cells > 0, kind == "8") == int(kind)
    return image.with_cells(np.where(full, 0, image.cells))


@primitive(cost=2.5, constants=(0, *COLOURS))
def halo(image: Image, colour: int) -> Image:
    """The empty cells next to others, corners included, in a colour; with 0, in the most common one."""
    near = (image.cells == 0) & (_neighbours(image.cells > 0, True) > 0)
    return image.with_cells(near * np.uint8(colour or most_common(image.cells)))


@primitive(cost=2.5, constants=(0, *COLOURS))
def framed(image: Image, colour: int) -> Image | None:
    """With a frame of one cell around the whole image."""
    cells = np.pad(image.cells, 1, constant_values=colour or most_common(image.cells))
    return Image(cells, image.top - 1, image.left - 1) if max(cells.shape) <= 30 else None


@primitive(cost=2.5, constants=(0, *COLOURS))
def edged(image: Image, colour: int) -> Image:
    """The outermost cells get one colour; with 0, the most common one."""
    cells = image.cells.copy()
    cells[[0, -1]] = colour or most_common(image.cells)
    cells[:, [0, -1]] = colour or most_common(image.cells)
    return image.with_cells(cells)


@primitive(cost=2, constants=("filled", "hollow"))
def hull(image: Image, kind: str) -> Image:
    """The whole extent in the most common colour, or empty."""
    return image.with_cells(np.full_like(image.cells, most_common(image.cells) if kind == "filled" else 0))


@primitive(cost=2.5, constants=("filled", "added"))
def boxed(image: Image, kind: str) -> Image:
    """The bounding box of every component by corners, filled with its colour; or only what that adds."""
    labels, found = label(image.cells, True, True, False)
    out = image.cells.copy()
    for one, (a, b, c, d) in enumerate(boxes(labels, found).tolist()):
        colour = image.cells[a:c, b:d][labels[a:c, b:d] == one + 1][0]
        part = out[a:c, b:d]
        part[part == 0] = colour
    if kind == "added":
        out[image.cells > 0] = 0
    return image.with_cells(out)


@primitive(cost=2.5, constants=("1", "2", "3"))
def without_small(image: Image, size: str) -> Image:
    """Without the components of one colour, joined by corners too, that have at most so many cells."""
    labels, found = label(image.cells, True, True, False)
    number = np.bincount(labels.ravel(), minlength=found + 1)
    return image.with_cells(np.where(number[labels] > int(size), image.cells, 0))


@primitive(cost=2.5)
def denoised(image: Image) -> Image:
    """Every cell that differs from most of its eight neighbours gets the colour that most of them have."""
    cells = image.cells
    wide = np.pad(cells, 1, constant_values=10)
    height, width = cells.shape
    around = np.stack(
        [wide[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width] for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]
    )
    number = np.stack([(around == colour).sum(axis=0) for colour in range(10)])
    best = number.argmax(axis=0).astype(np.uint8)
    own = np.take_along_axis(number, cells[None].astype(np.int64), axis=0)[0]
    return image.with_cells(np.where((own < 2) & (number.max(axis=0) >= 3), best, cells))


@primitive(cost=2.5, constants=(0, *COLOURS))
def largest_rectangle(image: Image, colour: int) -> Image | None:
    """The largest rectangle of one colour, cut out; in colour 1 if it is empty."""
    top, left, bottom, right = largest_of(image.cells, colour)
    if bottom == 0:
        return None
    return Image(np.full((bottom - top, right - left), colour or 1, np.uint8), image.top + top, image.left + left)
