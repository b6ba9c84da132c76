"""The loops that all selectors share: score, keep to the constraints, ask the stop rule, take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from whet.selection.arrays import Array, FloatArray, namespace, to_numpy
from whet.selection.base import Choice, Stop
from whet.selection.constraints import Allowed
from whet.selection.posterior import Posterior
from whet.selection.twins import lowest


class Scorer(Protocol):
    """Scores the candidates of one query in the light of what has been taken."""

    def scores(self) -> FloatArray:
        """`(K,)`, larger for what should rather be taken next."""
        ...

    def take(self, index: int) -> None:
        """A candidate has been taken."""
        ...


def greedy(
    posterior: Posterior,
    n: int,
    score: Callable[[Posterior], Array],
    *,
    stop: Stop | None = None,
    allowed: Allowed | None = None,
    twins: Sequence[NDArray[np.int64] | None] = (),
) -> list[Choice]:
    """Observe up to `n` candidates for each query, always one of the best score; a choice for each query.

    Args:
        posterior: of the queries; has room for `n` more observations.
        n: at least 1.
        score: `(B, K)`, larger is better; the lowest index wins a tie.
        stop: asked before each pick.
        allowed: what may be picked; everything, any number of times, unless given.
        twins: for each query what `first_equals` says of its candidates.
    """
    batch = len(posterior.candidates)
    start = 1 - posterior.explained() / posterior.prior
    state = start.copy()  # variance share of each query so far
    lengths = np.full(batch, n)
    stopped, exhausted = np.zeros(batch, bool), np.zeros(batch, bool)
    picked: list[Array] = []
    for i in range(n):
        scores = score(posterior)
        if allowed is not None:
            scores = allowed.apply(scores)
            _end(exhausted, ~allowed.any(), lengths, i)
            if (lengths <= i).all():
                break
        index = _best(scores, twins)
        effect = posterior.effect(index)
        if stop is not None:
            gains = np.square(to_numpy(effect.at_targets), dtype=np.float64).sum(axis=1) / posterior.prior
            proposed = np.maximum(state - gains, 0)
            going = [b for b in range(batch) if lengths[b] > i]
            refused = np.zeros(batch, bool)
            refused[going] = [stop(i, float(state[b]), float(proposed[b])) for b in going]
            _end(stopped, refused, lengths, i)
            state = proposed
            if (lengths <= i).all():
                break
        posterior.observe(effect)
        picked.append(index)
        if allowed is not None:
            allowed.take(index)
    indices = np.array([np.atleast_1d(to_numpy(p) if batch > 1 else p) for p in picked], np.int64).reshape(-1, batch)
    gains = posterior.reductions()[:, -len(picked) :] / posterior.prior[:, None] if picked else np.empty((batch, 0))
    return [
        choice_of(
            indices[: lengths[b], b],
            gains[b, : lengths[b]],
            start=start[b],
            stopped=bool(stopped[b]),
            exhausted=bool(exhausted[b]),
        )
        for b in range(batch)
    ]


def ordered(scorer: Scorer, n: int, allowed: Allowed, twins: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """The candidates that a scorer would take one by one, up to `n`; the lowest index wins a tie.

    Args:
        scorer: of one query.
        n: at least 1.
        allowed: what may be taken.
        twins: what `first_equals` says of the candidates.
    """
    order: list[int] = []
    while len(order) < n and allowed.any()[0]:
        index = _best(allowed.apply(scorer.scores()[None]), [twins])
        scorer.take(index)
        allowed.take(index)
        order.append(index)
    return np.array(order, np.int64)


def follow(
    posterior: Callable[[NDArray[np.int64]], Posterior], order: NDArray[np.int64], stop: Stop | None, exhausted: bool
) -> Choice:
    """Observe candidates in a given order; the posterior is made for those in it, and the others cost nothing."""
    distinct, positions = np.unique(order, return_inverse=True)
    state = posterior(distinct)
    steps = iter(positions.tolist())
    one_hot = np.eye(len(distinct), dtype=np.float64)
    choice = greedy(state, len(order), lambda _: one_hot[None, next(steps)], stop=stop)[0]
    return Choice(
        distinct[choice.indices], choice.variances, choice.gains, choice.stopped, exhausted and not choice.stopped
    )


def _best(scores: Array, twins: Sequence[NDArray[np.int64] | None]) -> Any:
    """Of each query the candidate of the best score `(B, K)`: a number for one query, `(B,)` for several."""
    single = len(scores) == 1
    index = int(scores.argmax()) if single else scores.argmax(axis=1)
    if all(first is None for first in twins):
        return index
    values = to_numpy(scores)
    best = [index] if single else to_numpy(index).tolist()
    best = [b if first is None else lowest(first, v, b) for first, v, b in zip(twins, values, best, strict=True)]
    return best[0] if single else namespace(scores).asarray(best, device=scores.device)


def _end(ended: NDArray[np.bool_], now: NDArray[np.bool_], lengths: NDArray[np.int64], place: int) -> None:
    new = now & (lengths > place)
    ended |= new
    lengths[new] = place


def choice_of(
    indices: NDArray[np.int64],
    gains: NDArray[np.float64],
    stop: Stop | None = None,
    *,
    start: float = 1.0,
    stopped: bool = False,
    exhausted: bool = False,
) -> Choice:
    """Picks and their gains as a choice, up to where the stop rule ends it."""
    # one after the other, as the stop rule is told
    variances = np.maximum(np.subtract.accumulate(np.concatenate([[start], gains])), 0)
    for i in range(len(indices) if stop is not None else 0):
        if stop is not None and stop(i, float(variances[i]), float(variances[i + 1])):
            return Choice(indices[:i], variances[: i + 1], gains[:i], stopped=True)
    return Choice(indices, variances, gains, stopped, exhausted)
