"""Rays, connecting lines and falling."""

from __future__ import annotations

import numpy as np

from whet.programs.images import Image, Images
from whet.programs.kernels.motion import cast_rays, drop_cells, drop_components, join
from whet.programs.kernels.regions import flow, label
from whet.programs.primitives.colour import least_common
from whet.programs.registry import COLOURS, primitive

_RAYS = {
    "right": ((0, 1),),
    "left": ((0, -1),),
    "down": ((1, 0),),
    "up": ((-1, 0),),
    "across": ((0, 1), (0, -1)),
    "upright": ((1, 0), (-1, 0)),
    "cross": ((0, 1), (0, -1), (1, 0), (-1, 0)),
    "down right": ((1, 1),),
    "down left": ((1, -1),),
    "up right": ((-1, 1),),
    "up left": ((-1, -1),),
    "diagonal": ((1, 1), (-1, -1)),
    "antidiagonal": ((1, -1), (-1, 1)),
    "diagonals": ((1, 1), (1, -1), (-1, 1), (-1, -1)),
    "star": ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1)),
}
_ONE = {"right": (0, 1), "left": (0, -1), "down": (1, 0), "up": (-1, 0)}


@primitive(cost=2, constants=tuple(_RAYS), each=True, later=0.5)
def rays(image: Image, where: str) -> Image:
    """Every cell goes on in the given directions until it meets another; where rays cross, the first direction wins."""
    out = image.cells.copy()
    for dy, dx in _RAYS[where]:
        ray = cast_rays(image.cells, dy, dx)
        np.copyto(out, ray, where=out == 0)
    return image.with_cells(out)


@primitive(cost=2, constants=("across", "upright", "cross", "diagonals", "star"))
def lines_between(image: Image, where: str) -> Image:
    """Cells of one colour in a straight line are joined."""
    out = image.cells.copy()
    for dy, dx in _RAYS[where]:
        np.copyto(out, join(image.cells, dy, dx, True), where=out == 0)
    return image.with_cells(out)


@primitive(cost=2.5, constants=("across", "upright", "cross"))
def only_lines_between(image: Image, where: str) -> Image:
    """What joins cells of one colour in a straight line, without those cells."""
    return image.with_cells(np.where(image.cells > 0, 0, lines_between(image, where).cells))


@primitive(cost=2, constants=tuple(_ONE), each=True, later=0.5)
def fall(image: Image, where: str) -> Image:
    """Every cell falls in one direction."""
    return image.with_cells(drop_cells(image.cells, *_ONE[where]))


@primitive(cost=2.5, constants=tuple(_ONE))
def components_fall(image: Image, where: str) -> Image:
    """Every component, of any colours and joined by corners too, moves as far as it can."""
    labels, found = label(image.cells, True, False, False)
    return image.with_cells(drop_components(image.cells, labels, found, *_ONE[where], 0))


@primitive(cost=2.5, constants=tuple(_ONE))
def colours_fall(image: Image, where: str) -> Image:
    """Every component of one colour, joined by corners too, moves as far as it can."""
    labels, found = label(image.cells, True, True, False)
    return image.with_cells(drop_components(image.cells, labels, found, *_ONE[where], 0))


@primitive(cost=2.5, constants=COLOURS)
def pulled_to(image: Image, colour: int) -> Image | None:
    """Components move straight to the side on which the one of a colour lies, until they touch."""
    cells = image.cells
    labels, found = label(cells, True, True, False)
    there = cells == colour
    if not there.any() or found > 40:
        return None
    rows, columns = np.flatnonzero(there.any(axis=1)), np.flatnonzero(there.any(axis=0))
    out = np.where(there, cells, 0)
    for one in range(1, found + 1):
        part = labels == one
        if there[part].any():
            continue
        ys, xs = np.nonzero(part)
        if xs.max() >= columns[0] and xs.min() <= columns[-1]:
            step = (1, 0) if ys.max() < rows[0] else (-1, 0)
        elif ys.max() >= rows[0] and ys.min() <= rows[-1]:
            step = (0, 1) if xs.max() < columns[0] else (0, -1)
        else:
            out[part] = cells[part]
            continue
        shift = 0
        while True:
            v, u = ys + (shift + 1) * step[0], xs + (shift + 1) * step[1]
            if (
                v.min() < 0
                or u.min() < 0
                or v.max() >= cells.shape[0]
                or u.max() >= cells.shape[1]
                or there[v, u].any()
            ):
                break
            shift += 1
        if shift >= max(cells.shape) - 1:
            return None
        out[ys + shift * step[0], xs + shift * step[1]] = cells[part]
    return image.with_cells(out)


@primitive(cost=2, constants=("all", "least common"), each=True, later=0.5)
def spread(image: Image, which: str) -> Image:
    """Empty cells get the colour that reaches them first, from side to side, of all or of the least common colour."""
    return image.with_cells(flow(image.cells, 0 if which == "all" else least_common(image.cells)))


@primitive(cost=2.5, constants=COLOURS)
def spread_of(image: Image, colour: int) -> Image:
    """One colour goes on over empty cells from side to side."""
    return image.with_cells(flow(image.cells, colour))


@primitive(cost=3.5, constants=tuple(f"{way} {by}" for way in _ONE for by in ("1", "2", "3", "own size")), each=True)
def shifted(image: Image, how: str) -> Image:
    """Moved by so many cells, or by its own height or width."""
    way, by = how.split(" ", 1)
    dy, dx = _ONE[way]
    length = image.cells.shape[0 if dy else 1] if by == "own size" else int(by)
    return Image(image.cells, image.top + dy * length, image.left + dx * length)


@primitive(cost=2.5, constants=tuple(_ONE))
def pieces_fall(images: Images, where: str) -> Images | None:
    """Every image moves in one direction over the extent of all until it meets another."""
    dy, dx = _ONE[where]
    top, left = min(i.top for i in images), min(i.left for i in images)
    bottom = max(i.top + i.cells.shape[0] for i in images)
    right = max(i.left + i.cells.shape[1] for i in images)
    taken = np.zeros((bottom - top, right - left), np.bool_)
    if len(images) < 2 or taken.size > 900:
        return None
    order = sorted(range(len(images)), key=lambda i: -(dy * images[i].top + dx * images[i].left))
    out = list(images)
    for place in order:
        cells, y, x = images[place].cells > 0, images[place].top - top, images[place].left - left
        height, width = cells.shape
        while True:
            v, u = y + dy, x + dx
            if v < 0 or u < 0 or v + height > taken.shape[0] or u + width > taken.shape[1]:
                break
            if (taken[v : v + height, u : u + width] & cells).any():
                break
            y, x = v, u
        taken[y : y + height, x : x + width] |= cells
        out[place] = Image(images[place].cells, y + top, x + left)
    return tuple(out)


@primitive(cost=3)
def stamped(pattern: Image, marks: Image) -> Image | None:
    """The first image with its middle on every cell of the second that is not empty, over the second's extent."""
    places = np.argwhere(marks.cells > 0)
    if not 0 < len(places) <= 40 or pattern.cells.size > 200 or pattern.cells.size == 1:
        return None
    height, width = marks.cells.shape
    rows, columns = pattern.cells.shape
    wide = np.zeros((height + 2 * rows, width + 2 * columns), np.uint8)
    for row, column in places.tolist():
        top, left = row + rows - (rows - 1) // 2, column + columns - (columns - 1) // 2
        np.copyto(wide[top : top + rows, left : left + columns], pattern.cells, where=pattern.cells > 0)
    return marks.with_cells(wide[rows : rows + height, columns : columns + width])


@primitive(cost=3)
def stamped_in_colour(pattern: Image, marks: Image) -> Image | None:
    """The same in the colour of each cell."""
    out = stamped(pattern.with_cells((pattern.cells > 0).astype(np.uint8)), marks)
    if out is None:
        return None
    cells = np.zeros_like(marks.cells)
    for colour in np.flatnonzero(np.bincount(marks.cells.ravel(), minlength=10)[1:]) + 1:
        part = stamped(pattern, marks.with_cells(np.where(marks.cells == colour, marks.cells, 0)))
        if part is not None:
            np.copyto(cells, np.uint8(colour), where=part.cells > 0)
    return marks.with_cells(cells)
