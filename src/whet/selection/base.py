"""What a selector is given, when it may end early, and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from whet.selection.arrays import Array
from whet.selection.constraints import Constraints


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
        variances: `(n + 1,)` float64, posterior variance of the query before any pick and after each, as a share of the
            prior variance: 1 at first, less where something was known already; never rises, never negative. With
            several query rows, the share of their sum.
        gains: `(n,)` float64, by how much each pick lowers that share. Computed by themselves: more accurate than the
            differences of `variances` where they are small.
        stopped: whether a stop rule ended the selection before the number asked for.
        exhausted: whether the constraints left nothing more to pick before that.
    """

    indices: NDArray[np.int64]
    variances: NDArray[np.float64]
    gains: NDArray[np.float64]
    stopped: bool
    exhausted: bool = False


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a classifier says, for criteria that ask it.

    Attributes:
        candidates: `(K, classes)`, probabilities.
        targets: `(m, classes)`, probabilities for the rows of the query, where a criterion needs them.
    """

    candidates: Array
    targets: Array | None = None


class Selector(Protocol):
    """Chooses what to learn from for a query."""

    @property
    def name(self) -> str:
        """Its name in the registry."""
        ...

    def choose(
        self,
        candidates: Array,
        query: Array,
        n: int,
        *,
        stop: Stop | None = None,
        constraints: Constraints | None = None,
        predictions: Predictions | None = None,
    ) -> Choice:
        """Choose `n` of the candidates, fewer if `stop` or the constraints say so.

        Args:
            candidates: `(K, d)`, one embedding a row, float32 or float64; used as given, not normalised.
            query: `(d,)`, or `(m, d)` for several vectors that are to be known together; the same kind and dtype.
            n: number of picks, at least 1.
            stop: asked before each pick.
            constraints: what may be picked, and what is known already.
            predictions: for criteria that judge by a classifier's predictions; the others pass over them.

        Raises:
            InputError: an argument is empty, not finite, zero, or of the wrong shape, type or range; or the constraints
                rule every candidate out.
        """
        ...

    def choose_many(
        self,
        candidates: Sequence[Array],
        queries: Sequence[Array],
        n: int,
        *,
        stop: Stop | None = None,
        constraints: Sequence[Constraints | None] | None = None,
        predictions: Sequence[Predictions | None] | None = None,
    ) -> list[Choice]:
        """Choose for many queries, each from its own candidates; the i-th choice is what `choose` gives.

        Equal to the last bit for NumPy arrays; to rounding for tensors on a GPU or with another kernel than the linear.

        Args:
            candidates: `(K, d)` for each query; K may differ.
            queries: `(d,)` or `(m, d)` for each.
            n: number of picks for each.
            stop: asked before each pick of each query.
            constraints: for each query, or none for all.
            predictions: for each query, or none for all.

        Raises:
            InputError: as `choose`.
        """
        ...
