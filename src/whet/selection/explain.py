"""Why a selection came out as it did: what each pick told, and why near candidates were left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whet.errors import InputError
from whet.selection.arrays import Array, FloatArray, to_numpy, unit_rows
from whet.selection.base import Choice
from whet.selection.checks import checked_vectors
from whet.selection.constraints import NONE, Allowed, Constraints, noises, open_rows
from whet.selection.explanation import REDUNDANT, Alike, Explanation, PassedOver, Picked, Reason
from whet.selection.kernels import LINEAR, Kernel
from whet.selection.nearest import cosines
from whet.selection.posterior import Posterior
from whet.selection.surrogate import BayesianLinear

_TIE = 1e-6
"""Relative difference of two gains that may be rounding, where the selection was made in float32."""

_DIGITS = 9
"""Of cosines and shares that count, so that what differs by rounding is equal."""


def explain(
    candidates: Array,
    query: Array,
    choice: Choice,
    *,
    noise: float,
    nearest: int = 10,
    constraints: Constraints | None = None,
    kernel: Kernel = LINEAR,
) -> Explanation:
    """Say what each pick told about the query, and why near candidates were not picked.

    All numbers are those of the surrogate, computed anew in float64, whatever criterion made the choice. Only the picks
    and the neighbours are looked at closely: O(K d) for K candidates and little besides.

    Args:
        candidates: `(K, d)`, as given to the selector.
        query: `(d,)` or `(m, d)`, likewise.
        choice: what the selector chose.
        noise: λ of the surrogate, that of the selector.
        nearest: how many neighbours of the query to look at; if there are fewer candidates, all.
        constraints: those that the selector was given.
        kernel: of the surrogate, that of the selector.

    Raises:
        InputError: an argument is not what a selector takes, or the choice is from other candidates.

    >>> import numpy as np
    >>> from whet.selection import Sift
    >>> examples, query = np.array([[1.0, 0.0], [0.99, 0.1], [0.5, 0.8]]), np.array([0.9, 0.4])
    >>> choice = Sift(noise=0.01).choose(examples, query, 2)
    >>> explanation = explain(examples, query, choice, noise=0.01)
    >>> [(pick.row, round(pick.gain, 3), round(pick.taken, 3)) for pick in explanation.picks]
    [(1, 0.893, 0.0), (2, 0.1, 0.853)]
    >>> [(passed.row, passed.words) for passed in explanation.passed_over]
    [(0, 'redundant with pick 1')]
    """
    if nearest < 1:
        raise InputError(f"nearest={nearest}: the number of neighbours to look at is at least 1.")
    rows, targets, _ = (to_numpy(array) for array in checked_vectors(candidates, query, noise))
    picks = _checked_picks(choice, len(rows))
    limits = constraints or NONE
    similarity = cosines(rows, targets)
    neighbours = np.argsort(-similarity, kind="stable")[:nearest]
    close = np.unique(np.concatenate([picks, neighbours]))
    closed = _closed(limits, rows, targets, picks)
    numbers = _Numbers.of(rows, targets, close, picks, limits, noise, kernel)
    likeness = _Likeness(close, unit_rows(rows[close]), picks.tolist(), neighbours.tolist())
    return Explanation(
        tuple(_picked(place, similarity, numbers, likeness) for place in range(len(picks))),
        tuple(_passed_over(similarity, numbers, likeness, closed)),
    )


@dataclass(frozen=True, eq=False)
class _Numbers:
    """What the surrogate says. All gains and variances are shares of the prior variance.

    Attributes:
        alone: `(K,)`, gain of each candidate before the picks; NaN for those that are not looked at.
        left: `(K,)`, after the picks.
        gains: `(n,)`, of the picks in their turns.
        variances: `(n,)`, after each pick.
        cost: `(K,)`.
    """

    alone: FloatArray
    left: FloatArray
    gains: FloatArray
    variances: FloatArray
    cost: FloatArray

    @classmethod
    def of(
        cls,
        rows: FloatArray,
        targets: FloatArray,
        close: NDArray[np.int64],
        picks: NDArray[np.int64],
        limits: Constraints,
        noise: float,
        kernel: Kernel,
    ) -> _Numbers:
        known = BayesianLinear(noise, kernel=kernel)
        if limits.known is not None:
            context = checked_vectors(limits.known, targets, noise).candidates
            known = known.condition(to_numpy(context).astype(np.float64))
        posterior = Posterior(
            rows[close].astype(np.float64)[None],
            targets.astype(np.float64)[None],
            noises(limits, len(rows), noise)[close][None],
            len(picks),
            [known],
        )
        prior = posterior.prior[0]
        alone, left = np.full((2, len(rows)), np.nan)
        alone[close] = posterior.reduction()[0] / prior
        for place in np.searchsorted(close, picks).tolist():
            posterior.observe(posterior.effect(place))
        left[close] = posterior.reduction()[0] / prior
        gains = posterior.reductions()[0] / prior
        variances = 1 - posterior.explained()[0] / prior - np.cumsum(gains)
        cost = np.ones(len(rows)) if limits.cost is None else np.asarray(limits.cost, dtype=np.float64)
        return cls(alone, left, gains, variances.clip(min=0), cost)


@dataclass(frozen=True, eq=False)
class _Likeness:
    """Cosines between the candidates `rows`, of which `unit` has the directions."""

    rows: NDArray[np.int64]
    unit: FloatArray
    picks: list[int]
    neighbours: list[int]

    def most(self, row: int, others: Sequence[int]) -> Alike | None:
        """The one of others that a row resembles most, the first one of equal ones."""
        if not len(others):
            return None
        places = np.searchsorted(self.rows, [row, *others])
        found = (self.unit[places[1:]] @ self.unit[places[0]]).clip(-1, 1)
        best = int(np.abs(found).round(_DIGITS).argmax())
        other = int(others[best])
        return Alike(other, float(found[best]), _place(other, self.picks), _place(other, self.neighbours))


def _place(row: int, order: list[int]) -> int | None:
    return order.index(row) + 1 if row in order else None


def _picked(place: int, similarity: FloatArray, numbers: _Numbers, likeness: _Likeness) -> Picked:
    row, earlier = likeness.picks[place], likeness.picks[:place]
    return Picked(
        row=row,
        cosine=float(similarity[row]),
        gain=float(numbers.gains[place]),
        variance=float(numbers.variances[place]),
        alone=float(numbers.alone[row]),
        taken=_taken(numbers.gains[place], numbers.alone[row]),
        before=earlier.count(row),
        like=likeness.most(row, earlier),
    )


def _passed_over(
    similarity: FloatArray, numbers: _Numbers, likeness: _Likeness, closed: NDArray[np.bool_]
) -> Iterator[PassedOver]:
    picks, order = likeness.picks, likeness.neighbours
    worth = numbers.left / numbers.cost
    enough = numbers.gains[-1] / numbers.cost[picks[-1]] * (1 + _TIE) if picks else 0.0
    for rank, row in enumerate(order, start=1):
        if row in picks:
            continue
        taken = _taken(numbers.left[row], numbers.alone[row])
        pick = likeness.most(row, picks)
        yield PassedOver(
            row=row,
            rank=rank,
            cosine=float(similarity[row]),
            gain=float(numbers.left[row]),
            alone=float(numbers.alone[row]),
            taken=taken,
            like=likeness.most(row, [*picks, *order[: rank - 1]]),
            pick=None if pick is None else pick.pick,
            reason=_reason(excluded=bool(closed[row]), missed=bool(worth[row] > enough), taken=taken),
        )


def _reason(*, excluded: bool, missed: bool, taken: float) -> Reason:
    if excluded:
        return "excluded"
    if missed:
        return "missed"
    return "redundant" if taken >= REDUNDANT else "less informative"


def _taken(gain: float, alone: float) -> float:
    return round(float(1 - gain / alone), _DIGITS) + 0.0 if alone > 0 else 0.0  # + 0.0 leaves no -0.0


def _closed(limits: Constraints, rows: FloatArray, targets: FloatArray, picks: NDArray[np.int64]) -> NDArray[np.bool_]:
    """`(K,)`, what the constraints forbid after the picks."""
    allowed = Allowed([limits], [open_rows(limits, rows, targets)], None)
    for row in picks.tolist():
        allowed.take(row)
    closed: NDArray[np.bool_] = allowed.left()[0] == 0
    return closed


def _checked_picks(choice: Choice, size: int) -> NDArray[np.int64]:
    picks = np.asarray(choice.indices, dtype=np.int64)
    if len(picks) and not 0 <= picks.min() <= picks.max() < size:
        raise InputError(
            f"choice.indices go from {picks.min()} to {picks.max()} and there are {size} candidates: give the "
            "candidates that the choice was made from."
        )
    return picks
