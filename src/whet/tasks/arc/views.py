"""Views: ways to look at a task that keep its rule, each written as a key that makes the same view again.

A key is a list of steps joined by dots, applied from left to right:

- `rot90`, `rot180`, `rot270` (counter-clockwise), `fliplr`, `flipud`, `transpose`;
- `colours0213456789`: the colour i becomes the i-th digit;
- `order2-0-1`: the first demonstration is number 2, and so on;
- `roll1x2`: one row down and two columns to the right, around the edge;
- `reflectdown`, `reflectup`, `reflectright`, `reflectleft`: the grid and, on that side, its mirror image;
- `repeat2x1`, `upscale2x1`: twice as high, by tiles or by taller cells.

The last two lines change the size, and an output that a model proposes need not have the form that they make: they have
no inverse, and serve for training only. `identity` is the view without steps.

Source: the transformations of Akyürek et al. 2024, arXiv 2411.07279.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from whet.errors import InputError
from whet.tasks.arc.grids import COLOURS, MAX_SIDE, Grid, as_grid
from whet.tasks.arc.task import ArcTask, Episode, Pair

Cells: TypeAlias = npt.NDArray[Any]

IDENTITY = "identity"


@dataclass(frozen=True)
class Step:
    """One part of a key.

    Attributes:
        grid: what it does to a grid.
        order: what it does to demonstrations: which of them comes first, second, ….
        inverse: the step that undoes it, if one does.
    """

    grid: Callable[[Cells], Cells]
    inverse: str | None
    order: tuple[int, ...] | None = None


@dataclass(frozen=True)
class View:
    """A composition of steps; equal if of equal keys.

    Raises:
        InputError: the key has a part that is no step.
    """

    key: str = IDENTITY

    def __post_init__(self) -> None:
        _ = self._steps

    def then(self, other: View) -> View:
        """First this view, then the other."""
        return _joined([*self._parts, *other._parts])

    @property
    def invertible(self) -> bool:
        """Whether `inverse` is there."""
        return all(step.inverse is not None for step in self._steps)

    @property
    def inverse(self) -> View:
        """The view that undoes this one, exactly.

        Raises:
            InputError: a step of it cannot be undone.
        """
        undone = [step.inverse for step in reversed(self._steps) if step.inverse is not None]
        if len(undone) < len(self._steps):
            raise InputError(f"the view {self.key!r} changes sizes, so it has no inverse; use it for training only.")
        return _joined(undone)

    def grid(self, grid: Grid) -> Grid:
        """The grid in this view.

        Raises:
            InputError: it would be larger than a grid can be.
        """
        for step in self._steps:
            grid = as_grid(step.grid(grid), f"the grid in the view {self.key!r}")
        return grid

    def pair(self, pair: Pair) -> Pair:
        """Both sides in this view.

        Raises:
            InputError: as in `grid`.
        """
        return Pair(self.grid(pair.input), self.grid(pair.output))

    def task(self, task: ArcTask) -> ArcTask:
        """All grids in this view, and the demonstrations in its order; the id stays.

        Raises:
            InputError: as in `grid`; or the view orders another number of demonstrations.
        """
        return ArcTask(task.id, self._pairs(task.train), tuple(map(self.grid, task.test)))

    def episode(self, episode: Episode) -> Episode:
        """All grids in this view, and the demonstrations in its order.

        Raises:
            InputError: as in `task`.
        """
        return Episode(self._pairs(episode.demonstrations), self.pair(episode.target))

    def _pairs(self, pairs: tuple[Pair, ...]) -> tuple[Pair, ...]:
        for order in (step.order for step in self._steps if step.order is not None):
            if len(order) != len(pairs):
                raise InputError(
                    f"the view {self.key!r} orders {len(order)} demonstrations, and there are {len(pairs)}; "
                    "make an order of as many."
                )
            pairs = tuple(pairs[index] for index in order)
        return tuple(map(self.pair, pairs))

    @property
    def _parts(self) -> list[str]:
        return [] if self.key == IDENTITY else self.key.split(".")

    @cached_property
    def _steps(self) -> tuple[Step, ...]:
        return tuple(map(_parse, self._parts))


def colours(permutation: tuple[int, ...]) -> View:
    """The view in which the colour i is `permutation[i]`."""
    return View(_colours_key(permutation))


def order(permutation: tuple[int, ...]) -> View:
    """The view in which the demonstration i is the one that was number `permutation[i]`."""
    return View(_order_key(permutation))


def random_colours(rng: np.random.Generator, *, keep_background: bool = True) -> View:
    """A permutation of the colours, each as likely as any other; 0 stays 0 if the background is kept."""
    first = int(keep_background)
    return colours((*range(first), *(int(c) for c in first + rng.permutation(COLOURS - first))))


def random_order(rng: np.random.Generator, count: int) -> View:
    """An order of so many demonstrations, each as likely as any other."""
    return order(tuple(int(i) for i in rng.permutation(count)))


def _joined(parts: list[str]) -> View:
    return View(".".join(parts) or IDENTITY)


def _colours_key(permutation: tuple[int, ...]) -> str:
    return f"colours{''.join(map(str, permutation))}"


def _order_key(permutation: tuple[int, ...]) -> str:
    return f"order{'-'.join(map(str, permutation))}"


def _inverse(permutation: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.argsort(permutation))


_FIXED = {
    "rot90": Step(lambda g: np.rot90(g, 1), "rot270"),
    "rot180": Step(lambda g: np.rot90(g, 2), "rot180"),
    "rot270": Step(lambda g: np.rot90(g, 3), "rot90"),
    "fliplr": Step(np.fliplr, "fliplr"),
    "flipud": Step(np.flipud, "flipud"),
    "transpose": Step(np.transpose, "transpose"),
    "reflectdown": Step(lambda g: np.concatenate([g, np.flipud(g)], axis=0), None),
    "reflectup": Step(lambda g: np.concatenate([np.flipud(g), g], axis=0), None),
    "reflectright": Step(lambda g: np.concatenate([g, np.fliplr(g)], axis=1), None),
    "reflectleft": Step(lambda g: np.concatenate([np.fliplr(g), g], axis=1), None),
}

_BY_TWO = re.compile(r"(repeat|upscale|roll)(-?\d{1,3})x(-?\d{1,3})", re.ASCII)
_COLOURS = re.compile(r"colours(\d{10})", re.ASCII)
_ORDER = re.compile(r"order(\d{1,3}(?:-\d{1,3})*)", re.ASCII)


def _parse(part: str) -> Step:
    if part in _FIXED:
        return _FIXED[part]
    if found := _COLOURS.fullmatch(part):
        permutation = tuple(map(int, found[1]))
        if sorted(permutation) == list(range(COLOURS)):
            table = np.array(permutation, np.uint8)
            return Step(lambda g: table[g], _colours_key(_inverse(permutation)))
    elif found := _ORDER.fullmatch(part):
        permutation = tuple(map(int, found[1].split("-")))
        if sorted(permutation) == list(range(len(permutation))):
            return Step(lambda g: g, _order_key(_inverse(permutation)), permutation)
    elif found := _BY_TWO.fullmatch(part):
        name, rows, columns = found[1], int(found[2]), int(found[3])
        if name == "roll":
            return Step(lambda g: np.roll(g, (rows, columns), axis=(0, 1)), f"roll{-rows}x{-columns}")
        if min(rows, columns) >= 1 and max(rows, columns) <= MAX_SIDE:
            if name == "repeat":
                return Step(lambda g: np.tile(g, (rows, columns)), None)
            return Step(lambda g: np.kron(g, np.ones((rows, columns), np.uint8)), None)
    raise InputError(f"{part!r} is no step of a view; the steps are those that `whet.tasks.arc.views` describes.")


DIHEDRAL = tuple(
    map(View, (IDENTITY, "rot90", "rot180", "rot270", "fliplr", "flipud", "transpose", "transpose.rot180"))
)
"""The eight symmetries of a square."""

ENLARGING = tuple(
    map(
        View,
        (
            *("reflectdown", "reflectup", "reflectright", "reflectleft"),
            *("repeat2x1", "repeat1x2", "repeat2x2", "upscale2x1", "upscale1x2", "upscale2x2"),
        ),
    )
)
"""For training only: grids at least twice as large in one direction."""
