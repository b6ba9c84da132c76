"""Measures of images, and choosing from a list by them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from whet.programs.images import Image, Images, key
from whet.programs.kernels.regions import label, outside
from whet.programs.primitives.colour import most_common
from whet.programs.registry import COLOURS, primitive


def _holes(image: Image, _: Images) -> int:
    return int(((image.cells == 0) & ~outside(image.cells, False)).sum())


def _hole_count(image: Image, _: Images) -> int:
    inside = (image.cells == 0) & ~outside(image.cells, False)
    return label((~inside).astype(np.uint8), False, True, True)[1]


def _components(image: Image, _: Images) -> int:
    return label(image.cells, True, True, False)[1]


def _symmetric(image: Image, _: Images) -> int:
    cells = image.cells
    return int(np.array_equal(cells, cells[::-1])) + int(np.array_equal(cells, cells[:, ::-1]))


def _copies(image: Image, others: Images) -> int:
    return sum(np.array_equal(image.cells, other.cells) for other in others)


def _shapes(image: Image, others: Images) -> int:
    return sum(
        image.cells.shape == other.cells.shape and np.array_equal(image.cells > 0, other.cells > 0) for other in others
    )


def _shares(image: Image, others: Images) -> int:
    colour = most_common(image.cells)
    return sum(most_common(other.cells) == colour for other in others)


MEASURES: dict[str, Callable[[Image, Images], int]] = {
    "cells": lambda image, _: int(np.count_nonzero(image.cells)),
    "area": lambda image, _: image.cells.size,
    "height": lambda image, _: image.cells.shape[0],
    "width": lambda image, _: image.cells.shape[1],
    "colours": lambda image, _: len(set(image.cells.ravel().tolist()) - {0}),
    "empty cells": lambda image, _: image.cells.size - int(np.count_nonzero(image.cells)),
    "top": lambda image, _: image.top,
    "left": lambda image, _: image.left,
    "bottom": lambda image, _: image.top + image.cells.shape[0],
    "right": lambda image, _: image.left + image.cells.shape[1],
    "holes": _holes,
    "symmetry": _symmetric,
    "copies": _copies,
    "same shapes": _shapes,
    "same colours": _shares,
    "hole count": _hole_count,
    "components": _components,
    "density": lambda image, _: 100 * int(np.count_nonzero(image.cells)) // image.cells.size,
    "minority": lambda image, _: int(np.count_nonzero((image.cells > 0) & (image.cells != most_common(image.cells)))),
}

PLACES = ("top", "left", "bottom", "right")


def measured(images: Images, measure: str) -> list[int]:
    """The measure of every image."""
    function = MEASURES[measure]
    return [function(image, images) for image in images]


def _alike(images: list[Image]) -> Image | None:
    """The first, if all are copies of it."""
    return images[0] if images and all(np.array_equal(images[0].cells, other.cells) for other in images[1:]) else None


@primitive(cost=1.5, constants=tuple(MEASURES))
def most(images: Images, measure: str) -> Image | None:
    """The image with the largest measure."""
    values = measured(images, measure)
    return _alike([image for image, value in zip(images, values, strict=True) if value == max(values)])


@primitive(cost=1.5, constants=tuple(MEASURES))
def least(images: Images, measure: str) -> Image | None:
    """The image with the smallest measure."""
    values = measured(images, measure)
    return _alike([image for image, value in zip(images, values, strict=True) if value == min(values)])


@primitive(cost=2.5, constants=("cells", "area", "colours", "holes", "symmetry", "height", "width", "minority"))
def odd(images: Images, measure: str) -> Image | None:
    """The only image whose measure no other shares."""
    values = measured(images, measure)
    lonely = [image for image, value in zip(images, values, strict=True) if values.count(value) == 1]
    return lonely[0] if len(lonely) == 1 else None


@primitive(cost=3, constants=tuple(MEASURES))
def keep_most(images: Images, measure: str) -> Images | None:
    """The images with the largest measure."""
    values = measured(images, measure)
    return tuple(image for image, value in zip(images, values, strict=True) if value == max(values))


@primitive(cost=3, constants=tuple(MEASURES))
def keep_least(images: Images, measure: str) -> Images | None:
    """The images with the smallest measure."""
    values = measured(images, measure)
    return tuple(image for image, value in zip(images, values, strict=True) if value == min(values))


@primitive(cost=3, constants=tuple(MEASURES))
def drop_most(images: Images, measure: str) -> Images | None:
    """All but the images with the largest measure."""
    values = measured(images, measure)
    return tuple(image for image, value in zip(images, values, strict=True) if value < max(values)) or None


@primitive(cost=3, constants=tuple(MEASURES))
def drop_least(images: Images, measure: str) -> Images | None:
    """All but the images with the smallest measure."""
    values = measured(images, measure)
    return tuple(image for image, value in zip(images, values, strict=True) if value > min(values)) or None


@primitive(cost=3, constants=tuple(name for name in MEASURES if name not in ("bottom", "right")))
def in_order(images: Images, measure: str) -> Images | None:
    """From the smallest to the largest measure; the given order decides ties."""
    if len(images) < 2:
        return None
    values = measured(images, measure)
    return tuple(images[i] for i in sorted(range(len(images)), key=values.__getitem__))


@primitive(cost=1.5, constants=("first", "last", "middle"))
def item(images: Images, which: str) -> Image | None:
    """One of several images, by its place in the list."""
    if len(images) < 2 or (which == "middle" and len(images) % 2 == 0):
        return None
    return images[{"first": 0, "last": -1, "middle": len(images) // 2}[which]]


@primitive(cost=3)
def distinct(images: Images) -> Images:
    """Each image once, whatever its place."""
    seen: dict[int, Image] = {}
    for image in images:
        seen.setdefault(key(Image(image.cells)), image)
    return tuple(seen.values())


@primitive(cost=2, constants=("filled", "hollow"))
def rectangles(images: Images, kind: str) -> Images | None:
    """The images that are full rectangles, or that are not."""
    return tuple(image for image in images if bool(image.cells.all()) == (kind == "filled")) or None


@primitive(cost=2.5, constants=COLOURS)
def with_colour(images: Images, colour: int) -> Images | None:
    """The images in which a colour occurs."""
    return tuple(image for image in images if (image.cells == colour).any()) or None


@primitive(cost=2.5, constants=COLOURS)
def without_colour(images: Images, colour: int) -> Images | None:
    """The images in which a colour does not occur."""
    return tuple(image for image in images if not (image.cells == colour).any()) or None


@primitive(cost=2.5, constants=("columns", "rows", "any", "none"))
def by_symmetry(images: Images, how: str) -> Images | None:
    """The images that equal their mirror image left to right, top to bottom, either of them, or none of them."""
    kept = []
    for image in images:
        across, upright = (
            np.array_equal(image.cells, image.cells[:, ::-1]),
            np.array_equal(image.cells, image.cells[::-1]),
        )
        if {"columns": across, "rows": upright, "any": across or upright, "none": not across and not upright}[how]:
            kept.append(image)
    return tuple(kept) or None


@primitive(cost=2.5, constants=("touching", "inside"))
def by_edge(images: Images, which: str) -> Images | None:
    """The images that touch, or do not touch, the box around all of them."""
    top, left = min(i.top for i in images), min(i.left for i in images)
    bottom = max(i.top + i.cells.shape[0] for i in images)
    right = max(i.left + i.cells.shape[1] for i in images)

    def touches(image: Image) -> bool:
        height, width = image.cells.shape
        return image.top == top or image.left == left or image.top + height == bottom or image.left + width == right

    return tuple(image for image in images if touches(image) == (which == "touching")) or None
