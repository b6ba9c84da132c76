"""Rules made of other rules: two or three steps, one after the other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from whet.tasks.arc.generate.geometry import RIGID, applied, cropped, shifted
from whet.tasks.arc.generate.local import neighbours
from whet.tasks.arc.generate.scenes import DIAGONALS, NEIGHBOURS, Cells, Rng, Rule, chance, colours, one
from whet.tasks.arc.generate.scenes import scene as scenes

Change = Callable[[Cells], Cells]


def chain(rng: Rng, side: int) -> Rule:
    """Two or three steps, such as a turn and then an outline."""
    steps = [_STEPS[one(rng, 0, len(_STEPS) - 1)](rng) for _ in range(one(rng, 2, 3))]

    def change(grid: Cells) -> Cells:
        for step in steps:
            grid = step(grid)
        return grid

    return applied(scenes(rng, side, low=4, dense=False), change)


def _turn(rng: Rng) -> Change:
    return RIGID[one(rng, 0, 6)]


def _shift(rng: Rng) -> Change:
    down, right, around = one(rng, -1, 1), one(rng, -1, 1), chance(rng, 0.5)
    return lambda g: shifted(g, down, right, around=around)


def _paint(rng: Rng) -> Change:
    colour = np.uint8(colours(rng, 1)[0])
    return lambda g: np.where(g > 0, colour, g)


def _fill(rng: Rng) -> Change:
    colour = np.uint8(colours(rng, 1)[0])
    return lambda g: np.where(g == 0, colour, g)


def _outline(rng: Rng) -> Change:
    colour = np.uint8(colours(rng, 1)[0])
    steps = NEIGHBOURS if chance(rng, 0.5) else NEIGHBOURS + DIAGONALS
    return lambda g: np.where((g == 0) & (neighbours(g > 0, steps) > 0), colour, g)


def _fall(rng: Rng) -> Change:
    turns = one(rng, 0, 3)

    def change(grid: Cells) -> Cells:
        turned = np.rot90(grid, turns)
        order = np.argsort(turned > 0, axis=0, kind="stable")
        return np.rot90(np.take_along_axis(turned, order, axis=0), -turns)

    return change


def _fold(rng: Rng) -> Change:
    flip = np.fliplr if chance(rng, 0.5) else np.flipud
    return lambda g: np.where(g > 0, g, flip(g))


def _swap(rng: Rng) -> Change:
    table = np.arange(10, dtype=np.uint8)
    table[1:] = 1 + rng.permutation(9)
    return lambda g: table[g]


def _crop(_: Rng) -> Change:
    return cropped


def _edge(rng: Rng) -> Change:
    colour, place = colours(rng, 1)[0], one(rng, 0, 3)

    def change(grid: Cells) -> Cells:
        out = grid.copy()
        out[((0,), (-1,), (slice(None), 0), (slice(None), -1))[place]] = colour
        return out

    return change


_STEPS: tuple[Callable[[Rng], Change], ...] = (
    *(_turn, _shift, _paint, _fill, _outline, _fall, _fold, _swap, _crop, _edge),
)
