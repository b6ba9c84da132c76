"""Taking an image apart."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from whet.programs.images import Image, Images, cropped, window
from whet.programs.kernels.regions import boxes, label
from whet.programs.registry import COLOURS, primitive

MOST = 60
_KINDS = {"4": (False, True), "8": (True, True), "4 any": (False, False), "8 any": (True, False)}


@primitive(cost=1, constants=tuple(_KINDS), later=0.4)
def components(image: Image, kind: str) -> Images | None:
    """Connected components, each cropped: joined by sides (4) or corners too (8), of one colour or of `any`."""
    diagonal, by_colour = _KINDS[kind]
    labels, found = label(image.cells, diagonal, by_colour, False)
    if not 0 < found <= MOST:
        return None
    return tuple(
        Image(
            np.ascontiguousarray(np.where(labels[a:c, b:d] == one + 1, image.cells[a:c, b:d], 0)),
            image.top + a,
            image.left + b,
        )
        for one, (a, b, c, d) in enumerate(boxes(labels, found).tolist())
    )


@primitive(cost=1.2, later=0.6)
def colours(image: Image) -> Images | None:
    """One image for every colour, cropped."""
    present = np.flatnonzero(np.bincount(image.cells.ravel(), minlength=10)[1:]) + 1
    layers_ = [image.with_cells(np.where(image.cells == colour, image.cells, 0)) for colour in present]
    return tuple(part for part in map(cropped, layers_) if part is not None) or None


@primitive(cost=2.5, constants=COLOURS)
def around(image: Image, colour: int) -> Images | None:
    """The square of three by three around every cell of a colour."""
    places = np.argwhere(image.cells == colour)
    if not 0 < len(places) <= MOST:
        return None
    return tuple(
        Image(window(image, image.top + y - 1, image.left + x - 1, 3, 3), image.top + y - 1, image.left + x - 1)
        for y, x in places.tolist()
    )


@primitive(cost=1.5, constants=("4", "8 any"), later=0.5)
def surroundings(image: Image, kind: str) -> Images | None:
    """All that lies in the bounding box of each component."""
    diagonal, by_colour = _KINDS[kind]
    labels, found = label(image.cells, diagonal, by_colour, False)
    if not 0 < found <= MOST:
        return None
    return tuple(
        Image(np.ascontiguousarray(image.cells[a:c, b:d]), image.top + a, image.left + b)
        for a, b, c, d in boxes(labels, found).tolist()
    )


@primitive(cost=2, later=0.5)
def layers(image: Image) -> Images | None:
    """One image for every colour, of the same extent."""
    present = np.flatnonzero(np.bincount(image.cells.ravel(), minlength=10)[1:]) + 1
    return tuple(image.with_cells(np.where(image.cells == colour, image.cells, 0)) for colour in present) or None


@primitive(cost=2.5)
def empty_regions(image: Image) -> Images | None:
    """The connected regions of empty cells, cropped, in colour 1."""
    labels, found = label(image.cells, False, False, True)
    if not 0 < found <= MOST:
        return None
    return tuple(
        Image((labels[a:c, b:d] == one + 1).astype(np.uint8), image.top + a, image.left + b)
        for one, (a, b, c, d) in enumerate(boxes(labels, found).tolist())
    )


@primitive(cost=3, constants=("rows", "columns"))
def slices(image: Image, which: str) -> Images:
    """Every row or every column."""
    if which == "rows":
        return tuple(Image(image.cells[i : i + 1].copy(), image.top + i, image.left) for i in range(len(image.cells)))
    columns = image.cells.shape[1]
    return tuple(
        Image(np.ascontiguousarray(image.cells[:, i : i + 1]), image.top, image.left + i) for i in range(columns)
    )


def _spans(lines: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """The stretches between marked positions."""
    marks = np.flatnonzero(np.concatenate([[True], lines, [True]])) - 1
    return [(int(a) + 1, int(b)) for a, b in pairwise(marks) if b - a > 1]


@primitive(cost=0.7, later=0.4)
def panels(image: Image) -> Images | None:
    """The parts between lines of one colour that run from edge to edge."""
    cells = image.cells
    best = None
    for colour in np.flatnonzero(np.bincount(cells.ravel(), minlength=10)):
        rows = (cells == colour).all(axis=1)
        columns = (cells == colour).all(axis=0)
        if rows.all():
            continue
        spans = [(r, c) for r in _spans(rows) for c in _spans(columns)]
        sizes = {(r[1] - r[0], c[1] - c[0]) for r, c in spans}
        if len(spans) > 1 and (best is None or (len(sizes), len(spans)) < best[0]):
            best = ((len(sizes), len(spans)), spans)
    if best is None or len(best[1]) > MOST:
        return None
    return tuple(
        Image(np.ascontiguousarray(cells[a:b, c:d]), image.top + a, image.left + c) for (a, b), (c, d) in best[1]
    )


@primitive(cost=2, constants=("12", "21", "22", "13", "31", "33", "14", "41"), later=0.5)
def parts(image: Image, times: str) -> Images | None:
    """Equal parts, as many down and across as the two digits say; lines of one cell between them are left out."""
    down, across = int(times[0]), int(times[1])
    rows, columns = _equal(image.cells.shape[0], down), _equal(image.cells.shape[1], across)
    if rows is None or columns is None:
        return None
    return tuple(
        Image(np.ascontiguousarray(image.cells[a:b, c:d]), image.top + a, image.left + c)
        for a, b in rows
        for c, d in columns
    )


def _equal(length: int, number: int) -> list[tuple[int, int]] | None:
    for gap in (0, 1):
        room = length - gap * (number - 1)
        if room > 0 and room % number == 0:
            size = room // number
            return [(i * (size + gap), i * (size + gap) + size) for i in range(number)]
    return None


@primitive(cost=0.7, later=0.4)
def squares(image: Image) -> Images | None:
    """Square parts along the longer side."""
    height, width = image.cells.shape
    if height == width or max(height, width) % min(height, width):
        return None
    side = min(height, width)
    return tuple(
        Image(np.ascontiguousarray(image.cells[a : a + side, b : b + side]), image.top + a, image.left + b)
        for a in range(0, height, side)
        for b in range(0, width, side)
    )
