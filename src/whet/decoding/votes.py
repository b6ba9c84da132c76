"""Votes: from many candidate answers to the few that are given.

A candidate is anything hashable, or a NumPy array. Candidates that are equal are one candidate with several votes; of
candidates with as many votes, the one that came first is first.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from whet.errors import InputError

T = TypeVar("T")


def majority(candidates: Iterable[T], k: int = 2) -> list[T]:
    """The k most frequent candidates, or fewer if there are fewer.

    Raises:
        InputError: k is not positive.
    """
    return by_score(((candidate, 1.0) for candidate in candidates), k)


def by_score(scored: Iterable[tuple[T, float]], k: int = 2) -> list[T]:
    """The k candidates with the largest sum of scores, or fewer if there are fewer.

    With the log probability of each candidate under each view of the query, this is the product of experts.

    Raises:
        InputError: k is not positive, or a score is not a number.

    Source: Franzen et al. 2025, arXiv 2505.07859.
    """
    if k < 1:
        raise InputError(f"k is {k}; ask for at least one candidate.")
    firsts: dict[Hashable, T] = {}
    totals: dict[Hashable, float] = {}
    for candidate, score in scored:
        if math.isnan(score):
            raise InputError("the score of a candidate is not a number; score it again, or leave it out.")
        key = _key(candidate)
        firsts.setdefault(key, candidate)
        totals[key] = totals.get(key, 0.0) + score
    return [firsts[key] for key in sorted(totals, key=lambda key: -totals[key])[:k]]


def hierarchical(groups: Mapping[str, Sequence[T]], identity: str = "identity") -> list[T]:
    """The two candidates that win a vote within groups and then a vote among the winners.

    A group is what came from one transformation of the query, transformed back. First, all candidates together and each
    group send on their three most frequent ones; where there are fewer than three different ones, the most frequent
    takes the free places too, and so has more votes. What was sent on votes in the same way, and the first two win; if
    the second has as many votes as the third, the one of them that is more frequent in the group `identity` does.

    The source fills free places with the grid of the most frequent rows, or else of the most frequent columns. Of at
    most two different grids, those rows and columns are the ones of the more frequent grid (of the earlier, if ties go
    to the earlier), so that this is the same vote; it is open to candidates that are no grids.

    Args:
        groups: the candidates by the name of the transformation.
        identity: the name of the group that was not transformed; it need not be there.

    Returns:
        Two different candidates, or as many as there are.

    Source: Akyürek et al. 2024, arXiv 2411.07279, and the code of its authors.
    """
    every = [candidate for group in groups.values() for candidate in group]
    sent = [candidate for group in (every, *groups.values()) for candidate in _three(group)]
    if not sent:
        return []
    votes, at_home = _keys(sent), _keys(groups.get(identity, ()))
    first, second, third = _three(sent)
    one, two, three = _keys((first, second, third))
    tie = three != one and votes.count(two) == votes.count(three)
    if tie and at_home.count(three) > at_home.count(two):
        second = third
    return [first] if two == one else [first, second]


def _three(candidates: Sequence[T]) -> list[T]:
    """The three most frequent, or the most frequent in the places that are free; nothing for nothing."""
    best = majority(candidates, 3)
    return best + best[:1] * (3 - len(best))


def _keys(candidates: Iterable[Any]) -> list[Hashable]:
    return [_key(candidate) for candidate in candidates]


def _key(candidate: Any) -> Hashable:
    """What two candidates share only if they are equal."""
    if isinstance(candidate, np.ndarray):
        return candidate.shape, tuple(candidate.ravel().tolist())
    return candidate  # type: ignore[no-any-return]
