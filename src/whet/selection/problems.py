"""A query with what belongs to it, checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whet.errors import InputError
from whet.selection.arrays import Array, to_numpy
from whet.selection.base import Predictions
from whet.selection.checks import checked_vectors
from whet.selection.constraints import NONE, Allowed, Constraints, noises, open_rows
from whet.selection.kernels import LINEAR, Kernel
from whet.selection.surrogate import BayesianLinear


@dataclass(frozen=True, eq=False)
class Problem:
    """One query, checked.

    Attributes:
        candidates: `(K, d)`.
        targets: `(m, d)`.
        squared: `(K,)`, squared lengths of the candidates.
        constraints: what may be picked.
        opened: `(K,)`, which candidates may be picked at first.
        known: the surrogate with what is known already.
    """

    candidates: Array
    targets: Array
    squared: Array
    constraints: Constraints
    opened: NDArray[np.bool_]
    known: BayesianLinear

    @property
    def plain(self) -> bool:
        """Whether nothing is asked but which candidates may be picked how often, of NumPy arrays."""
        c = self.constraints
        bare = c.cost is None and c.budget is None and c.group is None and c.known is None
        return bare and isinstance(self.candidates, np.ndarray)

    def noises(self, default: float) -> NDArray[np.float64]:
        """`(K,)`, λ of each candidate."""
        return noises(self.constraints, len(self.candidates), default)

    def left(self, repeats: int | None) -> NDArray[np.int64]:
        """`(K,)`, how often each candidate may be picked; `repeats` unless the constraints say."""
        if self.constraints is NONE:
            return np.full(len(self.candidates), repeats or 2**53)
        left: NDArray[np.int64] = Allowed([self.constraints], [self.opened], repeats).left()[0]
        return left

    @classmethod
    def checked(
        cls, candidates: Array, query: Array, constraints: Constraints, noise: float, kernel: Kernel = LINEAR
    ) -> Problem:
        """A query and its candidates, for a surrogate of some noise λ and kernel.

        Raises:
            InputError: something does not fit.
        """
        least = noise
        if constraints.noise is not None:
            least = float(noises(constraints, len(candidates), least).min())
        rows, targets, squared = checked_vectors(candidates, query, least, kernel)
        if kernel == LINEAR and str(rows.device) == "cpu":
            # the same memory; torch rounds a product of many matrices unlike that of one of them
            rows, targets, squared = to_numpy(rows), to_numpy(targets), to_numpy(squared)
        opened = open_rows(constraints, rows, targets)
        known = BayesianLinear(noise, kernel=kernel)
        if constraints.known is not None:
            seen = constraints.known
            known = known.condition(
                checked_vectors(
                    to_numpy(seen) if isinstance(rows, np.ndarray) else seen, targets, noise, kernel, "known"
                ).candidates
            )
        return cls(rows, targets, squared, constraints, opened, known)

    def most(self, repeats: int | None) -> int | None:
        """The most picks that there could be, if each candidate is taken `repeats` times unless the constraints say."""
        each = self.constraints.repeats or repeats
        return None if each is None else int(each) * len(self.candidates)


def matched(
    candidates: Sequence[Array],
    queries: Sequence[Array],
    constraints: Sequence[Constraints | None] | None,
    predictions: Sequence[Predictions | None] | None,
) -> list[tuple[Array, Array, Constraints, Predictions | None]]:
    """What belongs to each query.

    Raises:
        InputError: there are not equally many of each.
    """
    count = len(queries)
    for name, given in (("candidates", candidates), ("constraints", constraints), ("predictions", predictions)):
        if given is not None and (isinstance(given, Constraints | Predictions) or len(given) != count):
            raise InputError(
                f"{name} are not given for each of the {count} queries: give a list with one for every query."
            )
    limits = [c or NONE for c in constraints] if constraints is not None else [NONE] * count
    said = predictions if predictions is not None else [None] * count
    return list(zip(candidates, queries, limits, said, strict=True))


@contextmanager
def naming(place: int, count: int) -> Iterator[None]:
    """Errors say which of several queries they are about."""
    try:
        yield
    except InputError as error:
        if count == 1:
            raise
        raise InputError(f"query {place}: {error}") from error
