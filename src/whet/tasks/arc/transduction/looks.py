"""Views of symmetries and colours, as cheap array operations that also undo what a net says about each cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from whet.tasks.arc.grids import COLOURS
from whet.tasks.arc.transduction.encoding import Cells, Size

_SAME = tuple(range(COLOURS))


@dataclass(frozen=True)
class Look:
    """A view of a task.

    Attributes:
        transposed: whether rows and columns change places first.
        turns: quarter turns after that, counter-clockwise.
        table: what becomes of each colour.
    """

    transposed: bool = False
    turns: int = 0
    table: tuple[int, ...] = _SAME

    @property
    def symmetry(self) -> str:
        """Its name without the colours; `identity` for none."""
        parts = [*["transpose"] * self.transposed, *[f"rot{90 * self.turns}"] * (self.turns > 0)]
        return ".".join(parts) or "identity"

    def grid(self, grid: Cells) -> Cells:
        """The grid in this view."""
        seen = np.array(self.table, np.uint8)[grid]
        return np.rot90(seen.T if self.transposed else seen, self.turns)

    def pairs(self, pairs: Any) -> list[tuple[Cells, Cells]]:
        """Both sides of each pair in this view."""
        return [(self.grid(a), self.grid(b)) for a, b in pairs]

    def size(self, size: Size) -> Size:
        """The size in this view of a grid of this size."""
        return (size[1], size[0]) if self.swaps else size

    @property
    def swaps(self) -> bool:
        """Whether rows become columns."""
        return self.transposed != bool(self.turns % 2)

    def undo(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """`(rows, columns, colours)` of a grid in this view, as of the grid itself."""
        turned = np.rot90(values, -self.turns)
        return (turned.transpose(1, 0, 2) if self.transposed else turned)[..., list(self.table)]


SYMMETRIES = tuple(Look(transposed, turns) for transposed in (False, True) for turns in range(4))
"""The eight symmetries of a square, the identity first."""


def random_look(rng: np.random.Generator, *, keep_background: float = 0.8) -> Look:
    """One of the eight symmetries, and a permutation of the colours; 0 stays 0 with this probability."""
    first = int(rng.random() < keep_background)
    table = (*range(first), *(int(colour) for colour in first + rng.permutation(COLOURS - first)))
    return Look(bool(rng.integers(2)), int(rng.integers(4)), table)


def looks(count: int, *, seed: int) -> list[Look]:
    """So many views: the eight symmetries in turn, the first eight in the colours as they are, then in others."""
    rng = np.random.default_rng(seed)
    found = list(SYMMETRIES[:count])
    while len(found) < count:
        symmetry = SYMMETRIES[len(found) % len(SYMMETRIES)]
        found.append(Look(symmetry.transposed, symmetry.turns, random_look(rng, keep_background=1.0).table))
    return found
