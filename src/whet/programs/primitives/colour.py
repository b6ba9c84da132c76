"""Choosing, dropping and changing colours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from whet.programs.images import Grid, Image
from whet.programs.registry import COLOURS, primitive


def counts(cells: Grid) -> NDArray[np.int64]:
    """How often each of the ten colours occurs."""
    return np.bincount(cells.ravel(), minlength=10)


def most_common(cells: Grid) -> int:
    """The colour that occurs most, 0 aside; 0 if there is none."""
    number = counts(cells)
    number[0] = 0
    return int(number.argmax()) if number.any() else 0


def least_common(cells: Grid) -> int:
    """The colour that occurs least among those that do, 0 aside; 0 if there is none."""
    number = counts(cells)
    number[0] = 0
    present = np.flatnonzero(number)
    return int(present[number[present].argmin()]) if len(present) else 0


@primitive(cost=2.5, constants=COLOURS, each=True)
def only(image: Image, colour: int) -> Image:
    """Nothing but one colour."""
    return image.with_cells(np.where(image.cells == colour, image.cells, 0))


@primitive(cost=2.5, constants=COLOURS, each=True)
def without(image: Image, colour: int) -> Image:
    """Everything but one colour."""
    return image.with_cells(np.where(image.cells == colour, 0, image.cells))


@primitive(cost=2.5, constants=COLOURS, each=True)
def paint(image: Image, colour: int) -> Image:
    """Every cell that is not empty gets one colour."""
    return image.with_cells((image.cells > 0) * np.uint8(colour))


@primitive(cost=2, constants=("most common", "least common"), each=True)
def only_the(image: Image, which: str) -> Image:
    """Nothing but the most or least common colour."""
    colour = most_common(image.cells) if which == "most common" else least_common(image.cells)
    return image.with_cells(np.where(image.cells == colour, image.cells, 0))


@primitive(cost=2, constants=("most common", "least common"), each=True)
def without_the(image: Image, which: str) -> Image:
    """Everything but the most or least common colour."""
    colour = most_common(image.cells) if which == "most common" else least_common(image.cells)
    return image.with_cells(np.where(image.cells == colour, 0, image.cells))


@primitive(cost=2, constants=("most common", "least common"), each=True)
def paint_the(image: Image, which: str) -> Image:
    """Every cell that is not empty gets the most or least common colour."""
    colour = most_common(image.cells) if which == "most common" else least_common(image.cells)
    return image.with_cells((image.cells > 0) * np.uint8(colour))


@primitive(cost=1.7, each=True)
def negative(image: Image) -> Image:
    """Empty cells get the most common colour, the others become empty."""
    return image.with_cells((image.cells == 0) * np.uint8(most_common(image.cells) or 1))


@primitive(cost=2, each=True)
def swap_two(image: Image) -> Image | None:
    """Two colours change places, if there are just two; 0 counts where fewer are left."""
    present = np.flatnonzero(counts(image.cells)[1:]) + 1
    if len(present) != 2:
        return None
    first, second = (int(colour) for colour in present)
    table = np.arange(10, dtype=np.uint8)
    table[first], table[second] = second, first
    return image.with_cells(table[image.cells])


@primitive(cost=1, each=True, later=0.5)
def empty_background(image: Image) -> Image | None:
    """The most common of all colours becomes empty, and what was empty gets that colour."""
    background = int(counts(image.cells).argmax())
    if background == 0:
        return None
    table = np.arange(10, dtype=np.uint8)
    table[background], table[0] = 0, background
    return image.with_cells(table[image.cells])


@primitive(cost=2, constants=("most common", "least common"), each=True)
def single(image: Image, which: str) -> Image:
    """One cell of the most or least common colour."""
    colour = most_common(image.cells) if which == "most common" else least_common(image.cells)
    return image.with_cells(np.full((1, 1), colour, np.uint8))


@primitive(cost=2.5, constants=("most common", "least common"))
def flood(image: Image, which: str) -> Image:
    """All cells get the most or least common colour."""
    colour = most_common(image.cells) if which == "most common" else least_common(image.cells)
    return image.with_cells(np.full_like(image.cells, colour))


@primitive(cost=3, constants=("row", "column", "bars down", "bars across"))
def tally(image: Image, how: str) -> Image | None:
    """The colours from the most to the least common: one cell each, or as bars as long as they are many."""
    number = counts(image.cells)
    number[0] = 0
    order = [int(colour) for colour in np.argsort(-number, kind="stable") if number[colour]]
    if not order:
        return None
    if how == "row":
        return image.with_cells(np.array([order], np.uint8))
    if how == "column":
        return image.with_cells(np.array([order], np.uint8).T)
    longest = int(number.max())
    if longest > 30:
        return None
    out = np.zeros((len(order), longest), np.uint8)
    for row, colour in enumerate(order):
        out[row, : number[colour]] = colour
    return image.with_cells(out if how == "bars across" else out.T)


@primitive(cost=3)
def coloured_by(image: Image, other: Image) -> Image | None:
    """Every cell of the first image that is not empty gets the most common colour of the second."""
    colour = most_common(other.cells)
    return image.with_cells((image.cells > 0) * np.uint8(colour)) if colour else None


@primitive(cost=2.5)
def over(image: Image, other: Image) -> Image | None:
    """The first image on top of the second, over the extent of the second."""
    if image.cells.shape != other.cells.shape:
        return None
    return other.with_cells(np.where(image.cells > 0, image.cells, other.cells))


@primitive(cost=2.5)
def where(image: Image, mask: Image) -> Image | None:
    """The cells of the first image at which the second is not empty."""
    if image.cells.shape != mask.cells.shape:
        return None
    return image.with_cells(np.where(mask.cells > 0, image.cells, 0))


@primitive(cost=2.5)
def where_not(image: Image, mask: Image) -> Image | None:
    """The cells of the first image at which the second is empty."""
    if image.cells.shape != mask.cells.shape:
        return None
    return image.with_cells(np.where(mask.cells > 0, 0, image.cells))
