"""Functions of several images of one size, cell by cell, with what was learnt as their constant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from whet.programs.cells.rules import follow_rule, sweep_rule
from whet.programs.images import Grid, Image


def pile(images: Sequence[Image], _: None = None) -> Image:
    """The images on top of each other, the first uppermost; empty cells let the next be seen."""
    out = images[0].cells.copy()
    for image in images[1:]:
        np.copyto(out, image.cells, where=out == 0)
    return images[0].with_cells(out)


def lookup(images: Sequence[Image], table: dict[Any, int]) -> Image | None:
    """Every cell gets what the table has for the colours that the images have there; None if it has nothing.

    With one image a colour that the table lacks stays as it is.
    """
    if len(images) == 1:
        changed = np.array([table.get(colour, colour) for colour in range(10)], np.uint8)
        return images[0].with_cells(changed[images[0].cells])
    out = np.zeros_like(images[0].cells)
    for place in np.ndindex(out.shape):
        value = table.get(tuple(int(image.cells[place]) for image in images))
        if value is None:
            return None
        out[place] = value
    return images[0].with_cells(out)


def names_of(grid: Grid, free: Sequence[int]) -> Grid:
    """`(10,)`, a name for every colour: the first of `free` for the one of them that occurs most, and so on."""
    counts = np.bincount(grid.ravel(), minlength=10)
    names = np.arange(10, dtype=np.uint8)
    names[sorted(free, key=lambda colour: -counts[colour])] = free
    return names


def named(images: Sequence[Image], free: Sequence[int]) -> Image:
    """The image with `free` colours named by how often they occur."""
    return images[0].with_cells(names_of(images[0].cells, free)[images[0].cells])


def unnamed(images: Sequence[Image], free: Sequence[int]) -> Image:
    """The first image with the colours that have its names in the second."""
    return images[0].with_cells(np.argsort(names_of(images[1].cells, free)).astype(np.uint8)[images[0].cells])


COMBINERS: dict[str, Callable[[Sequence[Image], Any], Image | None]] = {
    "pile": pile,
    "lookup": lookup,
    "cells": follow_rule,
    "sweep": sweep_rule,
    "named": named,
    "unnamed": unnamed,
}
