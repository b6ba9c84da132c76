"""From what the net makes of a test input in many views to two attempts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from whet.decoding.votes import by_score, hierarchical, majority
from whet.tasks.arc.grids import Grid, as_grid, distinct
from whet.tasks.arc.transduction.reading import Reading


def flat(reading: Reading) -> list[Grid]:
    """The two most frequent answers."""
    return majority(reading.answers)


def by_symmetry(reading: Reading) -> list[Grid]:
    """The hierarchical vote, where the views of one symmetry are a group (Akyürek et al. 2024, arXiv 2411.07279)."""
    groups: dict[str, list[Grid]] = {}
    for symmetry, answer in zip(reading.symmetries, reading.answers, strict=True):
        groups.setdefault(symmetry, []).append(answer)
    return hierarchical(groups)


def product(reading: Reading) -> list[Grid]:
    """The two grids with the largest sum of log probabilities over the views (Franzen et al. 2025, arXiv 2505.07859).

    The first is the best of all grids, for the net's cells are independent; the second is the best other answer of a
    view, or else the first with its least certain cell changed.
    """
    total = reading.cells.sum(axis=0)
    best = as_grid(total.argmax(-1))
    found = by_score((answer, float(reading.scores(answer).sum())) for answer in distinct([best, *reading.answers]))
    return found if len(found) > 1 else [best, _second(total)]


def _second(total: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> Grid:
    order = np.sort(total, axis=-1)
    row, column = np.unravel_index(np.argmin(order[..., -1] - order[..., -2]), total.shape[:2])
    grid = total.argmax(-1)
    grid[row, column] = np.argsort(total[row, column])[-2]
    return as_grid(grid)


VOTES: dict[str, Callable[[Reading], list[Grid]]] = {"flat": flat, "hierarchical": by_symmetry, "product": product}
"""All by name."""
