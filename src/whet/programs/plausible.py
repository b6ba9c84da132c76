"""What training outputs say about test outputs, whatever the program."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from whet.programs.images import Grid

UNCHANGED, UNIFORM, NEW_COLOUR = 5.0, 4.0, 4.0


def surprise(train: Sequence[tuple[Grid, Grid]], tests: Sequence[Grid], predictions: Sequence[Grid]) -> float:
    """A cost for outputs that equal their inputs, have one colour, or bring a colour, where no training output does."""
    known = {int(colour) for _, output in train for colour in np.unique(output)}
    same = any(np.array_equal(before, after) for before, after in train)
    uniform = any(np.all(output == output.flat[0]) for _, output in train)
    cost = 0.0
    for before, after in zip(tests, predictions, strict=True):
        if not same and np.array_equal(before, after):
            cost += UNCHANGED
        if not uniform and np.all(after == after.flat[0]):
            cost += UNIFORM
        if set(np.unique(after).tolist()) - known - set(np.unique(before).tolist()):
            cost += NEW_COLOUR
    return cost
