"""Drawing pairs and whole tasks from families of rules."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from whet.errors import InputError
from whet.tasks.arc.generate.scenes import Cells, Family, Rng

Cellpair = tuple[Cells, Cells]
_TRIES = 50


def draw_pairs(family: Family, rng: Rng, side: int, count: int) -> list[Cellpair]:
    """Pairs of one rule of a family, no two with the same input, and not all with input and output alike.

    Args:
        family: what the rule is drawn from.
        rng: what it depends on.
        side: the largest side of any grid, at least 3.
        count: how many pairs.

    Raises:
        InputError: the side is too small for the family, after many tries.
    """
    for _ in range(_TRIES):
        rule = family(rng, side)
        found: dict[bytes, Cellpair] = {}
        for _ in range(3 * count):
            grid, out = rule(rng)
            if max(*grid.shape, *out.shape) <= side and min(out.shape) > 0:
                found.setdefault(grid.tobytes(), (grid, out))
            if len(found) == count:
                break
        pairs = list(found.values())
        if len(pairs) == count and not all(np.array_equal(*pair) for pair in pairs):
            return pairs
    raise InputError(f"{getattr(family, '__name__', family)} draws no pairs of side {side}; give a larger side.")


def draw_task(families: Mapping[str, Family], rng: Rng, side: int, count: int) -> list[Cellpair]:
    """Pairs of one rule of one of the families, each as likely as any other."""
    names = sorted(families)
    return draw_pairs(families[names[int(rng.integers(len(names)))]], rng, side, count)
