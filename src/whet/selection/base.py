"""What a selector is given, when it may end early, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]


class Stop(Protocol):
    """Decides, before each pick is taken, that it and all later ones shall not be.

    It is told where the selection stands and where the next pick would lead, so that one rule can leave out a pick that
    is not worth its step, and another can end as soon as enough is known. `whet.control` has such rules.
    """

    def __call__(self, picked: int, variance: float, proposed: float, /) -> bool:
        """Whether to end with the picks taken so far.

        Args:
            picked: how many picks have been taken.
            variance: posterior variance of the query after them, as a share of the prior variance.
            proposed: the same, if one more pick is taken.
        """
        ...


@dataclass(frozen=True, eq=False)
class Choice:
    """What a selector chose, in pick order.

    Attributes:
        indices: `(n,)` int64, rows of the candidates; a row may come more than once where the selector replaces.
        variances: `(n + 1,)` float64, posterior variance of the query before any pick (1) and after each, as a share of
            the prior variance; never rises, never negative. With several query rows, the share of their sum.
        gains: `(n,)` float64, by how much each pick lowers that share. Computed by themselves: more accurate than the
            differences of `variances` where they are small.
        stopped: whether a stop rule ended the selection before the number asked for.
    """

    indices: NDArray[np.int64]
    variances: NDArray[np.float64]
    gains: NDArray[np.float64]
    stopped: bool


class Selector(Protocol):
    """Chooses what to learn from for a query."""

    @property
    def name(self) -> str:
        """Its name in the registry."""
        ...

    def choose(self, candidates: FloatArray, query: FloatArray, n: int, *, stop: Stop | None = None) -> Choice:
        """Choose `n` of the candidates, fewer if `stop` says so.

        Args:
            candidates: `(K, d)`, one embedding a row, float32 or float64; used as given, not normalised.
            query: `(d,)`, or `(m, d)` for several vectors that are to be known together; the same dtype.
            n: number of picks, at least 1.
            stop: asked before each pick.

        Raises:
            InputError: an argument is empty, not finite, zero, or of the wrong shape, type or range.
        """
        ...
