"""Putting one image together from a list."""

from __future__ import annotations

import numpy as np

from whet.programs.images import Image, Images, bounds, image_of
from whet.programs.primitives.choosing import MEASURES, PLACES, measured
from whet.programs.primitives.colour import most_common
from whet.programs.registry import primitive


@primitive(cost=1.2, constants=("first", "last"))
def overlay(images: Images, top: str) -> Image | None:
    """All images at their places on one, the first or the last on top."""
    first_row, first_column = min(i.top for i in images), min(i.left for i in images)
    height = max(i.top + i.cells.shape[0] for i in images) - first_row
    width = max(i.left + i.cells.shape[1] for i in images) - first_column
    if max(height, width) > 30:
        return None
    out = np.zeros((height, width), np.uint8)
    for image in images if top == "last" else images[::-1]:
        row, column = image.top - first_row, image.left - first_column
        part = out[row : row + image.cells.shape[0], column : column + image.cells.shape[1]]
        np.copyto(part, image.cells, where=image.cells > 0)
    return Image(out, first_row, first_column)


@primitive(cost=1.5, constants=("first", "last"))
def stacked(images: Images, top: str) -> Image | None:
    """Images of one size, their places aside, on top of each other."""
    if len({image.cells.shape for image in images}) > 1:
        return None
    out = np.zeros_like(images[0].cells)
    for image in images if top == "last" else images[::-1]:
        np.copyto(out, image.cells, where=image.cells > 0)
    return image_of(out)


@primitive(cost=1.5, constants=("right", "down"))
def joined(images: Images, where: str) -> Image | None:
    """The images side by side."""
    side = 0 if where == "right" else 1
    if len(images) < 2 or len({image.cells.shape[side] for image in images}) > 1:
        return None
    if sum(image.cells.shape[1 - side] for image in images) > 30:
        return None
    grids = [image.cells for image in images]
    return image_of(np.hstack(grids) if where == "right" else np.vstack(grids))


@primitive(cost=2, constants=("row", "column", "diagonal"))
def one_each(images: Images, how: str) -> Image | None:
    """One cell for every image in its most common colour, in a row, a column or on the diagonal."""
    if len(images) > 30:
        return None
    colours = np.array([most_common(image.cells) for image in images], np.uint8)
    return image_of(colours[None] if how == "row" else colours[:, None] if how == "column" else np.diag(colours))


@primitive(cost=1.2, constants=("and", "or", "xor", "nor", "mode"))
def logic(images: Images, operation: str) -> Image | None:
    """Images of one size, cell by cell: 1 where all, any, an odd number or none are not empty; or the usual colour."""
    if len(images) < 2 or len({image.cells.shape for image in images}) > 1:
        return None
    pile = np.stack([image.cells for image in images])
    if operation == "mode":
        number = np.stack([(pile == colour).sum(axis=0) for colour in range(10)])
        return image_of(number.argmax(axis=0).astype(np.uint8))
    filled = pile > 0
    if operation == "and":
        out = filled.all(axis=0)
    elif operation == "xor":
        out = filled.sum(axis=0) % 2 == 1
    else:
        out = filled.any(axis=0) == (operation == "or")
    return image_of(np.asarray(out, np.uint8))


def _places(images: Images) -> tuple[list[int], list[int]] | None:
    """The distinct first rows and first columns, if the images fill a table of them."""
    rows, columns = sorted({image.top for image in images}), sorted({image.left for image in images})
    fits = len(rows) * len(columns) == len(images) > 1 and max(len(rows), len(columns)) <= 30
    return (rows, columns) if fits else None


@primitive(cost=1, constants=("single", "most common", "filled"))
def layout(images: Images, how: str) -> Image | None:
    """One cell for every image, in rows and columns as they lie: its only or usual colour, or whether it is full."""
    places = _places(images)
    if places is None:
        return None
    out = np.zeros((len(places[0]), len(places[1])), np.uint8)
    for image in images:
        value = most_common(image.cells)
        if how == "single" and not (image.cells == value).all():
            value = 0
        elif how == "filled":
            value = int(image.cells.all())
        out[places[0].index(image.top), places[1].index(image.left)] = value
    return image_of(out)


@primitive(cost=2.5, constants=tuple(name for name in MEASURES if name not in PLACES))
def layout_of(images: Images, measure: str) -> Image | None:
    """One cell for every image, in rows and columns as they lie: its measure, at most 9."""
    places = _places(images)
    if places is None:
        return None
    out = np.zeros((len(places[0]), len(places[1])), np.uint8)
    for image, value in zip(images, measured(images, measure), strict=True):
        out[places[0].index(image.top), places[1].index(image.left)] = min(value, 9)
    return image_of(out)


@primitive(cost=2)
def tightened(images: Images) -> Images | None:
    """Every image without its empty margin; those that are empty are dropped."""
    out = []
    for image in images:
        box = bounds(image.cells)
        if box:
            a, b, c, d = box
            out.append(Image(np.ascontiguousarray(image.cells[a:c, b:d]), image.top + a, image.left + b))
    return tuple(out) or None
