"""What the demonstrations of a task say about the primitives of its solution.

For each primitive a logistic regression on a few yes-or-no features, learnt by `benchmarks/arc_prior.py` from what
programs make of inputs. It only changes the order in which programs are enumerated; what a program costs stays.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from whet.programs.images import Grid, Pairs
from whet.programs.kernels.regions import label

SHARE = 0.3
"""The share of the evidence that counts: how likely a program is depends on its length too."""

LARGEST = 1.5
"""A primitive's place in the order moves by at most so much, in the unit of costs."""


def _colours(grid: Grid) -> set[int]:
    return set(np.flatnonzero(np.bincount(grid.ravel(), minlength=10)).tolist())


def _symmetric(grid: Grid) -> bool:
    return np.array_equal(grid, grid[::-1]) or np.array_equal(grid, grid[:, ::-1])


def _multiple(large: Grid, small: Grid) -> bool:
    return large.size > small.size and not (large.shape[0] % small.shape[0] or large.shape[1] % small.shape[1])


def _occurs(part: Grid, whole: Grid) -> bool:
    if part.shape[0] > whole.shape[0] or part.shape[1] > whole.shape[1]:
        return False
    windows = np.lib.stride_tricks.sliding_window_view(whole, part.shape)
    return bool((windows == part).all(axis=(2, 3)).any())


def _crossed(grid: Grid) -> bool:
    rows, columns = (grid == grid[:, :1]).all(axis=1) & (grid[:, 0] > 0), (grid == grid[:1]).all(axis=0) & (grid[0] > 0)
    return bool(rows.any() or columns.any()) and len(_colours(grid)) > 1


def _changed(before: Grid, after: Grid) -> NDArray[np.uint8]:
    """The colours of the cells that change; none if the sizes differ."""
    return before[before != after] if before.shape == after.shape else before[:0, 0]


def _components(grid: Grid) -> int:
    return int(label(grid, True, True, False)[1])


FEATURES: dict[str, Callable[[Grid, Grid], bool]] = {
    "same size": lambda a, b: a.shape == b.shape,
    "smaller": lambda a, b: b.size < a.size,
    "multiple": lambda a, b: _multiple(b, a),
    "fraction": lambda a, b: _multiple(a, b),
    "tiny output": lambda _, b: b.size <= 9,
    "part of the input": lambda a, b: a.shape != b.shape and _occurs(b, a),
    "input part of it": lambda a, b: a.shape != b.shape and _occurs(a, b),
    "no new colour": lambda a, b: _colours(b) <= _colours(a),
    "fewer colours": lambda a, b: len(_colours(b)) < len(_colours(a)),
    "same counts": lambda a, b: np.array_equal(np.sort(a, axis=None), np.sort(b, axis=None)),
    "symmetric output": lambda a, b: _symmetric(b) and not _symmetric(a),
    "symmetric input": lambda a, _: _symmetric(a),
    "lines across": lambda a, _: _crossed(a),
    "mostly empty": lambda a, _: 2 * int((a == 0).sum()) > a.size,
    "nothing empty": lambda a, _: bool(a.all()),
    "one colour": lambda a, _: len(_colours(a) - {0}) == 1,
    "many colours": lambda a, _: len(_colours(a) - {0}) > 3,
    "only empty cells change": lambda a, b: _changed(a, b).size > 0 and not _changed(a, b).any(),
    "no empty cell changes": lambda a, b: _changed(a, b).size > 0 and bool(_changed(a, b).all()),
    "few cells change": lambda a, b: 0 < 4 * _changed(a, b).size < a.size,
    "square input": lambda a, _: a.shape[0] == a.shape[1],
    "many components": lambda a, _: _components(a) > 4,
}
"""What may hold of an input and its output; a feature of a task holds of all its demonstrations."""


def features(train: Pairs) -> NDArray[np.bool_]:
    """`(len(FEATURES),)`: which of them hold."""
    return np.array([all(holds(*pair) for pair in train) for holds in FEATURES.values()])


def shifts(train: Pairs) -> dict[str, float]:
    """What is added to the cost of each primitive to put programs in order: below 0 if the task speaks for it."""
    names, usual, weights = _learnt()
    evidence = weights @ (features(train) - usual)
    return dict(zip(names, np.clip(-SHARE * evidence, -LARGEST, LARGEST).tolist(), strict=True))


@cache
def _learnt() -> tuple[list[str], NDArray[np.float64], NDArray[np.float64]]:
    """Primitives; how often each feature holds `(F,)`; its weight for each primitive `(P, F)`, in nats."""
    learnt = json.loads((files("whet.programs") / "prior.json").read_text(encoding="utf-8"))
    usual = np.array([learnt["features"][name] for name in FEATURES])
    return list(learnt["weights"]), usual, np.array(list(learnt["weights"].values()))
