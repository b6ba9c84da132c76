"""Rules of objects: which is largest, how many there are, where they go; and of panels laid over each other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from whet.tasks.arc.generate.geometry import cropped, shifted
from whet.tasks.arc.generate.scenes import (
    Cells,
    Rng,
    Rule,
    blank,
    blob,
    chance,
    colours,
    noise,
    objects,
    one,
    place,
    rectangle,
    sizes,
)

_TOUCHING = np.ones((3, 3), int)


def parts(grid: Cells) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """The number of the object of each cell, from 1, or 0; and how many cells each has, from object 1 on."""
    label, count = ndimage.label(grid > 0, structure=_TOUCHING)
    return label, np.bincount(label.ravel(), minlength=count + 1)[1:]


def by_size(rng: Rng, side: int) -> Rule:
    """The largest object, or the smallest: it changes its colour, stays alone, goes, or is cut out."""
    size = sizes(rng, side, low=4)
    palette = colours(rng, one(rng, 1, 3))
    new = next(colour for colour in colours(rng, 9) if colour not in palette)
    largest, way = chance(rng, 0.6), one(rng, 0, 3)
    rest = new if chance(rng, 0.3) else 0
    solid = chance(rng, 0.4)

    def rule(rng: Rng) -> tuple[Cells, Cells]:
        grid = objects(rng, size(rng), palette, one(rng, 2, 4), solid=solid)
        label, counts = parts(grid)
        if not len(counts):
            return grid, grid
        chosen = label == 1 + (counts.argmax() if largest else counts.argmin())
        if way == 0:
            return grid, np.where(chosen, np.uint8(new), grid)
        if way == 1:
            return grid, np.where(chosen, grid, np.where(grid > 0, np.uint8(rest), grid))
        if way == 2:
            return grid, np.where(chosen, np.uint8(0), grid)
        return grid, cropped(np.where(chosen, grid, np.uint8(0)))

    return rule


def colour_by_count(rng: Rng, side: int) -> Rule:
    """Each object gets the colour that belongs to its number of cells."""
    size = sizes(rng, side, low=4)
    old, *new = colours(rng, 5)
    least = one(rng, 2, 4)
    way = chance(rng, 0.5)

    def rule(rng: Rng) -> tuple[Cells, Cells]:
        grid = blank(size(rng))
        for _ in range(one(rng, 2, 4)):
            place(rng, grid, blob(rng, one(rng, 1, 5)), old)
        label, counts = parts(grid)
        large = counts >= least
        table = np.concatenate([[0], np.where(large, new[0], new[1]) if way else np.take(new, (counts - 1) % 4)])
        return grid, table.astype(np.uint8)[label]

    return rule


def remove_specks(rng: Rng, side: int) -> Rule:
    """Single cells around larger shapes go, or change."""
    size = sizes(rng, side, low=5)
    palette = colours(rng, one(rng, 1, 2))
    speck = palette[0] if chance(rng, 0.5) else colours(rng, 1)[0]
    new = 0 if chance(rng, 0.7) else colours(rng, 1)[0]

    def rule(rng: Rng) -> tuple[Cells, Cells]:
        out = blank(size(rng))
        for _ in range(one(rng, 1, 2)):
            place(rng, out, rectangle(rng, (3, 4)), palette[one(rng, 0, len(palette) - 1)])
        grid = out.copy()
        for _ in range(one(rng, 1, 4)):
            before = grid.copy()
            place(rng, grid, np.ones((1, 1), np.uint8), speck)
            out = np.where(before != grid, np.uint8(new), out)
        return grid, out

    return rule


def at_the_edge(rng: Rng, side: int) -> Rule:
    """Objects that touch the edge of the grid change, or those that do not."""
    size = sizes(rng, side, low=5)
    old, new = colours(rng, 2)
    touching, new = chance(rng, 0.5), 0 if chance(rng, 0.3) else new

    def rule(rng: Rng) -> tuple[Cells, Cells]:
        grid = objects(rng, size(rng), [old], one(rng, 2, 4))
        label, _ = parts(grid)
        edge = np.concatenate([label[0], label[-1], label[:, 0], label[:, -1]])
        chosen = np.isin(label, edge) == touching
        return grid, np.where(chosen & (label > 0), np.uint8(new), grid)

    return rule


def moving_colour(rng: Rng, side: int) -> Rule:
    """Objects of each colour move in the direction of that colour."""
    size = sizes(rng, side, low=4)
    palette = colours(rng, one(rng, 1, 3))
    moves = {colour: (one(rng, -2, 2), one(rng, -2, 2)) for colour in palette}
    if len(palette) > 1 and chance(rng, 0.6):
        moves[palette[0]] = (0, 0)
    around = chance(rng, 0.3)

    def rule(rng: Rng) -> tuple[Cells, Cells]:
        grid = objects(rng, size(rng), palette, one(rng, 1, 3))
        out = np.zeros_like(grid)
        for colour, (down, right) in moves.items():
            only = np.where(grid == colour, grid, np.uint8(0))
            out = np.maximum(out, shifted(only, down, right, around=around))
        return grid, out

    return rule


def hull(rng: Rng, side: int) -> Rule:
    """The rectangle around each object is filled, or drawn."""
    size = sizes(rng, side, low=4)
    palette = colours(rng, one(rng, 1, 3))
    new = 0 if chance(rng, 0.3) else next(colour for colour in colours(rng, 9) if colour not in palette)

    def rule(rng: Rng) -> tuple[Cells, Cells]:
        grid = objects(rng, size(rng), palette, one(rng, 1, 2))
        out = grid.copy()
        label, _ = parts(grid)
        for found in ndimage.find_objects(label):
            inner = out[found]
            out[found] = np.where(inner == 0, np.uint8(new or inner.max()), inner)
        return grid, out

    return rule


def count_objects(rng: Rng, side: int) -> Rule:
    """How many objects, or cells, there are: as a line of so many cells."""
    size = sizes(rng, side, low=4)
    old, new = colours(rng, 2)
    new = old if chance(rng, 0.5) else new
    singles, fixed, turn = chance(rng, 0.6), chance(rng, 0.7), chance(rng, 0.3)

    def rule(rng: Rng) -> tuple[Cells, Cells]:
        grid = blank(size(rng))
        for _ in range(one(rng, 1, min(5, side))):
            shape = np.ones((1, 1), np.uint8) if singles else blob(rng, one(rng, 1, 4))
            place(rng, grid, shape, old)
        count = len(parts(grid)[1])
        out = blank((1, 5 if fixed else max(1, count)))
        out[0, :count] = new
        return grid, out.T if turn else out

    return rule


def logic(rng: Rng, side: int) -> Rule:
    """Two panels, beside or above each other: which cells are in both, in one, or in none."""
    rows = one(rng, 2, side)
    columns = one(rng, 2, max(2, (side - 1) // 2))
    first, second, new, wall = colours(rng, 4)
    second = first if chance(rng, 0.3) else second
    line, way, turn = chance(rng, 0.7), one(rng, 0, 5), chance(rng, 0.5)
    density = float(rng.uniform(0.35, 0.65))

    def rule(rng: Rng) -> tuple[Cells, Cells]:
        a, b = (rng.random((rows, columns)) < density for _ in range(2))
        found = (a & b, a | b, a ^ b, ~(a | b), a & ~b, b & ~a)[way]
        middle = [blank((rows, 1), wall)] if line else []
        grid = np.hstack([a.astype(np.uint8) * np.uint8(first), *middle, b.astype(np.uint8) * np.uint8(second)])
        out = found.astype(np.uint8) * np.uint8(new)
        return (grid.T, out.T) if turn else (grid, out)

    return rule


def overlay(rng: Rng, side: int) -> Rule:
    """Two panels become one: where both have a colour, one of them is on top."""
    rows = one(rng, 2, side)
    columns = one(rng, 2, max(2, (side - 1) // 2))
    wall, *palette = colours(rng, 4)
    turn, first, line = chance(rng, 0.5), chance(rng, 0.5), chance(rng, 0.5)

    def rule(rng: Rng) -> tuple[Cells, Cells]:
        a, b = noise(rng, (rows, columns), palette[:2], 0.5), noise(rng, (rows, columns), palette[1:], 0.5)
        grid = np.hstack([a, blank((rows, 1), wall), b] if line else [a, b])
        out = np.where(a > 0, a, b) if first else np.where(b > 0, b, a)
        return (grid.T, out.T) if turn else (grid, out)

    return rule


def chosen_panel(rng: Rng, side: int) -> Rule:
    """Of several panels the one with the most cells of a colour, or the fewest."""
    n = max(2, (side - 2) // 3)
    count = 3 if side >= 8 else 2
    palette, most, turn = colours(rng, 3), chance(rng, 0.6), chance(rng, 0.5)

    def rule(rng: Rng) -> tuple[Cells, Cells]:
        panels = [noise(rng, (n, n), palette[:1], float(rng.uniform(0.2, 0.9))) for _ in range(count)]
        panels = [np.where(p > 0, np.uint8(palette[i]), p) for i, p in enumerate(panels)]
        counts = [(p > 0).sum() for p in panels]
        if len(set(counts)) < count:
            panels[0] = blank((n, n), palette[0]) if most else blank((n, n))
            counts = [(p > 0).sum() for p in panels]
        out = panels[int(np.argmax(counts) if most else np.argmin(counts))]
        grid = np.hstack(panels)
        return (grid.T, out.T) if turn else (grid, out)

    return rule


FAMILIES = (
    *(by_size, colour_by_count, remove_specks, at_the_edge, moving_colour, hull, count_objects),
    *(logic, overlay, chosen_panel),
)
