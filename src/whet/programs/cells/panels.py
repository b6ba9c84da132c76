"""What the panel is like that a cell lies in, and what other panels have at its place."""

from __future__ import annotations

import numpy as np

from whet.programs.cells.local import NONE, TOP, Features
from whet.programs.images import Grid, Image
from whet.programs.primitives.colour import least_common, most_common
from whet.programs.primitives.components import panels

COLOUR_NAMES = ("usual", "rarest", "somewhere", "of the panel at its place")
NUMBER_NAMES = (
    "filled",
    "filled rank",
    "filled rank from least",
    "colours",
    "row",
    "column",
    "row in it",
    "column in it",
)


def panels_of(cells: Grid) -> tuple[Features, Features]:
    """Colours `(4, H, W)` and numbers `(8, H, W)`; `NONE` and `TOP` on the lines and where there are no panels."""
    height, width = cells.shape
    colours = np.full((len(COLOUR_NAMES), height, width), NONE, np.uint8)
    numbers = np.full((len(NUMBER_NAMES), height, width), TOP, np.uint8)
    parts = panels(Image(cells))
    if parts is None:
        return colours, numbers
    filled = [int(np.count_nonzero(part.cells)) for part in parts]
    most, least = sorted(set(filled), reverse=True), sorted(set(filled))
    rows, columns = sorted({part.top for part in parts}), sorted({part.left for part in parts})
    layout = np.zeros((len(rows), len(columns)), np.uint8)
    for part in parts:
        layout[rows.index(part.top), columns.index(part.left)] = most_common(part.cells)
    same = len({part.cells.shape for part in parts}) == 1
    together = np.max([part.cells for part in parts], axis=0) if same else None
    for part, number in zip(parts, filled, strict=True):
        h, w = part.cells.shape
        place = np.s_[:, part.top : part.top + h, part.left : part.left + w]
        row, column = rows.index(part.top), columns.index(part.left)
        values = [number, most.index(number), least.index(number), len(np.unique(part.cells)), row, column]
        numbers[place][:6] = np.minimum(values, TOP)[:, None, None]
        numbers[place][6] = np.arange(h)[:, None]
        numbers[place][7] = np.arange(w)
        colours[place][0] = most_common(part.cells)
        colours[place][1] = least_common(part.cells)
        if together is not None:
            colours[place][2] = together
        if layout.shape == (h, w):
            colours[place][3] = layout
    return colours, numbers
