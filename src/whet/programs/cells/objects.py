"""What the component is like that a cell belongs to."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from whet.programs.cells.local import NONE, TOP, Features
from whet.programs.images import Grid
from whet.programs.kernels.regions import boxes, label, outside

KINDS: dict[str, tuple[bool, bool, bool]] = {
    "part": (False, True, False),
    "part with corners": (True, True, False),
    "thing": (False, False, False),
    "thing with corners": (True, False, False),
    "gap": (False, True, True),
}
COLOUR_NAMES = ("usual", "rarest", "around")
NUMBER_NAMES = (
    "size",
    "height",
    "width",
    "longer side",
    "full",
    "square",
    "at edge",
    "holes",
    "hole cells",
    "size rank",
    "size rank from least",
    "same shapes",
    "same sizes",
    "colours",
    "symmetry",
    "of colour",
    "count",
    "top rank",
    "left rank",
    "bottom rank",
    "right rank",
    "height rank",
    "width rank",
    "holds other",
)
PLACE_NAMES = (
    "row in box",
    "column in box",
    "row from box bottom",
    "column from box right",
    "on box rim",
    "on box middle",
)
_MOST = 80


def _ranks(values: list[int], largest_first: bool) -> list[int]:
    """How many distinct values come before each."""
    order = {value: rank for rank, value in enumerate(sorted(set(values), reverse=largest_first))}
    return [min(order[value], TOP) for value in values]


def objects_of(cells: Grid, kind: str) -> tuple[Features, Features]:
    """Features of the components of one kind: colours `(3, H, W)` and numbers `(30, H, W)`, `TOP` outside of any."""
    height, width = cells.shape
    labels, found = label(cells, *KINDS[kind])
    if found == 0 or found > _MOST:
        empty = np.full((len(NUMBER_NAMES) + len(PLACE_NAMES), height, width), TOP, np.uint8)
        return np.full((len(COLOUR_NAMES), height, width), NONE, np.uint8), empty
    extents = boxes(labels, found)
    colours = np.full((len(COLOUR_NAMES), found + 1), NONE, np.uint8)
    numbers = np.full((len(NUMBER_NAMES), found + 1), TOP, np.uint8)
    for one, values in enumerate(_measures(cells, labels, extents), 1):
        colours[:, one] = values[0]
        numbers[:, one] = np.minimum(values[1], TOP)
    places = np.full((len(PLACE_NAMES), height, width), TOP, np.uint8)
    rows, columns = np.nonzero(labels)
    top, left, bottom, right = extents[labels[rows, columns] - 1].T
    inside = np.stack([rows - top, columns - left, bottom - 1 - rows, right - 1 - columns])
    places[:4, rows, columns] = inside
    places[4, rows, columns] = inside.min(axis=0) == 0
    places[5, rows, columns] = (inside[0] == inside[2]) + 2 * (inside[1] == inside[3])
    return colours[:, labels], np.concatenate([numbers[:, labels], places])


def _measures(
    cells: Grid, labels: NDArray[np.int32], extents: NDArray[np.int32]
) -> list[tuple[tuple[int, int, int], list[int]]]:
    height, width = cells.shape
    found = len(extents)
    masks, parts = [], []
    for one, (a, b, c, d) in enumerate(extents.tolist()):
        masks.append(labels[a:c, b:d] == one + 1)
        parts.append(cells[a:c, b:d])
    sizes = [int(mask.sum()) for mask in masks]
    shapes = [(mask.shape, mask.tobytes()) for mask in masks]
    inner = [np.bincount(part[mask], minlength=10) for part, mask in zip(parts, masks, strict=True)]
    usual = [int(number.argmax()) for number in inner]
    of_shape, of_size, of_colour = Counter(shapes), Counter(sizes), Counter(usual)
    ranks = [
        _ranks(sizes, True),
        _ranks(sizes, False),
        *(_ranks(extents[:, i].tolist(), i >= 2) for i in range(4)),
        _ranks((extents[:, 2] - extents[:, 0]).tolist(), True),
        _ranks((extents[:, 3] - extents[:, 1]).tolist(), True),
    ]
    out = []
    for one, (a, b, c, d) in enumerate(extents.tolist()):
        mask, number = masks[one], inner[one]
        present = np.flatnonzero(number)
        h, w = c - a, d - b
        hollow = ~mask & ~outside(mask.astype(np.uint8), False)
        holes = label((~hollow).astype(np.uint8), False, True, True)[1] if hollow.any() else 0
        ring = cells[max(a - 1, 0) : c + 1, max(b - 1, 0) : d + 1]
        ring_mask = labels[max(a - 1, 0) : c + 1, max(b - 1, 0) : d + 1] != one + 1
        around = np.bincount(ring[ring_mask], minlength=10)
        around[0] = 0
        symmetry = int(np.array_equal(mask, mask[::-1])) + 2 * int(np.array_equal(mask, mask[:, ::-1]))
        values = [
            sizes[one],
            h,
            w,
            max(h, w),
            int(sizes[one] == h * w),
            int(h == w),
            int(a == 0 or b == 0 or c == height or d == width),
            holes,
            int(hollow.sum()),
            ranks[0][one],
            ranks[1][one],
            of_shape[shapes[one]],
            of_size[sizes[one]],
            len(present),
            symmetry,
            of_colour[usual[one]],
            found,
            ranks[2][one],
            ranks[3][one],
            ranks[4][one],
            ranks[5][one],
            ranks[6][one],
            ranks[7][one],
            int(bool((parts[one][~mask] > 0).any())),
        ]
        rarest = int(present[number[present].argmin()])
        out.append(((usual[one], rarest, int(around.argmax()) if around.any() else NONE), values))
    return out
