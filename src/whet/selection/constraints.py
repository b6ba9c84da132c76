"""What a selection must keep to, whatever its criterion."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whet.errors import InputError
from whet.selection.arrays import Array, namespace, to_numpy


@dataclass(frozen=True, eq=False)
class Constraints:
    """What may be picked for one query, how often, and what is known already.

    Attributes:
        exclude: rows of the candidates that are never picked, or a mask `(K,)` of them.
        near_copy: candidates whose cosine with a row of the query is at least this are never picked.
        noise: `(K,)`, λ of each candidate in place of the selector's: a large one is trusted little.
        cost: `(K,)`, what each pick costs, such as its tokens; criteria then compare their score per cost.
        budget: the most that all picks together may cost (each costs 1 if `cost` is not given).
        group: `(K,)`, what each candidate belongs to, such as its source.
        per_group: the most picks from one group.
        repeats: the most picks of one candidate; 1 is without replacement. The selector's own habit unless given.
        known: `(c, d)`, embeddings of what is learnt already: the surrogate begins with them observed. Criteria that do
            not ask the surrogate choose as without them.
    """

    exclude: ArrayLike = ()
    near_copy: float | None = None
    noise: ArrayLike | None = None
    cost: ArrayLike | None = None
    budget: float | None = None
    group: Sequence[Hashable] | None = None
    per_group: int | None = None
    repeats: int | None = None
    known: Array | None = None

    def __post_init__(self) -> None:
        if self.near_copy is not None and not -1 <= _number("near_copy", self.near_copy) <= 1:
            raise InputError(f"near_copy={self.near_copy}: give a cosine between -1 and 1, such as 0.98.")
        if self.budget is not None and not _number("budget", self.budget) > 0:
            raise InputError(f"budget={self.budget}: give a positive number, in the units of cost.")
        for name in ("per_group", "repeats"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1):
                raise InputError(f"{name}={value!r}: give a whole number of at least 1.")
        if (self.group is None) != (self.per_group is None):
            raise InputError("group and per_group belong together: give both, or neither.")


NONE = Constraints()


class Allowed:
    """Which candidates may be picked next, `B` queries at once; kept up to date pick by pick, on the CPU.

    Args:
        constraints: one for each query.
        opened: for each query which candidates may be picked at first, `(K,)`, as `open_rows` says.
        repeats: the most picks of one candidate where the constraints do not say; None is any number.

    Raises:
        InputError: a constraint does not fit the candidates.
    """

    def __init__(
        self, constraints: Sequence[Constraints], opened: Sequence[NDArray[np.bool_]], repeats: int | None
    ) -> None:
        self._open: NDArray[np.bool_] = np.stack(opened)
        size = self._open.shape[1]
        self._cost = np.stack([_positive("cost", c.cost, size, 1.0) for c in constraints])
        self._budget = np.array([math.inf if c.budget is None else float(c.budget) for c in constraints])
        self._rounding = 1e-9 * np.where(np.isinf(self._budget), 0, self._budget)  # three tenths make 0.3
        self._per_cost = any(c.cost is not None for c in constraints)
        self._group = np.stack([_groups(c, size) for c in constraints])
        most = np.array([[c.per_group or math.inf, c.repeats or repeats or math.inf] for c in constraints])
        self._group_left = np.repeat(most[:, :1], size, axis=1)  # (B, group)
        self._left = np.repeat(most[:, 1:], size, axis=1)  # (B, K)
        self._rows = np.arange(len(constraints))

    def apply(self, scores: Array) -> Array:
        """`(B, K)` scores per cost, and minus infinity where nothing may be picked."""
        xp = namespace(scores)
        open_, cost = self._open, self._cost
        if xp is not np:
            open_ = xp.asarray(open_, device=scores.device)
            cost = xp.asarray(cost, device=scores.device)
        if self._per_cost:
            # a negative score per cost would favour what is dear
            scores = xp.where(scores > 0, scores / xp.asarray(cost, dtype=scores.dtype), scores)
        return xp.where(open_, scores, -math.inf)

    def any(self) -> NDArray[np.bool_]:
        """`(B,)`, whether anything may still be picked."""
        return np.asarray(self._open.any(axis=1))

    def left(self) -> NDArray[np.int64]:
        """`(B, K)`, how often each candidate may still be picked, as far as it alone is concerned."""
        return np.where(self._open, np.minimum(self._left, 2**53), 0).astype(np.int64)

    def take(self, index: Any) -> None:
        """Account for a pick of each query; `index` is a number for one query, `(B,)` for several."""
        rows = self._rows
        picked = np.atleast_1d(to_numpy(index) if not isinstance(index, int) else np.array(index))
        self._budget -= self._cost[rows, picked]
        self._left[rows, picked] -= 1
        group = self._group[rows, picked]
        self._group_left[rows, group] -= 1
        self._open[rows, picked] &= self._left[rows, picked] > 0
        self._open &= ~((self._group == group[:, None]) & (self._group_left[rows, group] <= 0)[:, None])
        self._open &= self._cost <= self._budget[:, None] + self._rounding[:, None]


def noises(constraints: Constraints, size: int, default: float) -> NDArray[np.float64]:
    """`(K,)`, λ of each candidate.

    Raises:
        InputError: they are not one positive number for each candidate.
    """
    return _positive("noise", constraints.noise, size, default)


def open_rows(constraints: Constraints, candidates: Array, targets: Array) -> NDArray[np.bool_]:
    """`(K,)`, which of the candidates `(K, d)` may be picked at first, for the query `(m, d)`.

    Raises:
        InputError: a constraint does not fit the candidates, or none may be picked.
    """
    size = len(candidates)
    exclude = _array("exclude", constraints.exclude)
    open_ = np.ones(size, bool)
    if exclude.dtype == bool:
        if exclude.shape != (size,):
            raise InputError(f"exclude has shape {exclude.shape} for {size} candidates: give one truth value for each.")
        open_ &= ~exclude
    elif exclude.size:
        if exclude.dtype.kind not in "iu" or exclude.min() < 0 or exclude.max() >= size:
            raise InputError(
                f"exclude={np.array2string(exclude, threshold=6)}: give rows of the candidates, 0 to {size - 1}."
            )
        open_[exclude] = False
    if constraints.near_copy is not None:
        rows, queries = (to_numpy(a).astype(np.float64) for a in (candidates, targets))
        lengths = np.linalg.norm(rows, axis=1)[:, None] * np.linalg.norm(queries, axis=1)
        # the cosine of a copy may be rounded to just below 1
        rounding = 1e-6 if candidates.dtype.itemsize == 4 else 1e-12
        open_ &= (rows @ queries.T / lengths).max(axis=1) < constraints.near_copy - rounding
    if constraints.budget is not None:
        open_ &= _positive("cost", constraints.cost, size, 1.0) <= constraints.budget
    if not open_.any():
        raise InputError(f"the constraints leave none of the {size} candidates: loosen them.")
    return open_


def _positive(name: str, values: ArrayLike | None, size: int, default: float) -> NDArray[np.float64]:
    if values is None:
        return np.full(size, default)
    array = _array(name, values, np.float64)
    if array.shape != (size,):
        raise InputError(f"{name} has shape {array.shape} for {size} candidates: give one number for each.")
    wrong = np.flatnonzero(~(np.isfinite(array) & (array > 0)))
    if len(wrong):
        raise InputError(f"{name} of candidate {wrong[0]} is {array[wrong[0]]}: give a positive number.")
    return array


def _groups(constraints: Constraints, size: int) -> NDArray[np.int64]:
    """Groups as whole numbers from 0; all in one where there are none."""
    if constraints.group is None:
        return np.zeros(size, np.int64)
    group = constraints.group
    labels = list(group) if isinstance(group, list | tuple | str) else _array("group", group).tolist()
    if len(labels) != size:
        raise InputError(f"group has {len(labels)} entries for {size} candidates: give one for each.")
    numbers: dict[Hashable, int] = {}
    for label in labels:
        if not isinstance(label, Hashable) or label != label:
            raise InputError(f"group holds {label!r}, which cannot be told from others: give names or numbers.")
        numbers.setdefault(label, len(numbers))
    return np.array([numbers[label] for label in labels])


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise InputError(f"{name}={value!r}: give a number.")
    return float(value)


def _array(name: str, values: Any, dtype: Any = None) -> NDArray[Any]:
    """Values, a tensor's too, as a NumPy array."""
    try:
        given = values if isinstance(values, np.ndarray | list | tuple | range) else to_numpy(values)
        return np.asarray(given, dtype=dtype)
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(f"{name}={values!r}: give numbers, one for each candidate.") from error
