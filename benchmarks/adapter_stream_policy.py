"""What a cache with a threshold does with a stream, query by query; nothing is trained or scored here."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_ROUNDING = 1e-6
"""That of the cache: a threshold of 1 is reached by an equal vector."""


@dataclass(frozen=True)
class Step:
    """What happens to a query.

    Attributes:
        adapters: numbers of the queries whose adapters serve it, nearest first; none: it trains its own.
        nearest: cosine to the nearest query with an adapter in the cache, whether it serves or not; None if the cache
            is empty.
    """

    adapters: tuple[int, ...]
    nearest: float | None


def simulate(cosines: NDArray[np.floating], kept: Sequence[bool], hit: float | None, *, merge: int = 1) -> list[Step]:
    """Go through the stream: the nearest cached adapters serve, or one is trained and remembered if the guard keeps it.

    Args:
        cosines: `(n, n)`, of all queries.
        kept: for each query whether the guard keeps the adapter that is trained for it.
        hit: cosine from which on an adapter serves; None: always train.
        merge: how many of the nearest adapters are merged where one serves.
    """
    cached: list[int] = []
    steps = []
    for query, row in enumerate(cosines):
        order = sorted(cached, key=lambda other: -row[other])  # stable: of equally near ones the oldest first
        nearest = float(row[order[0]]) if order else None
        if hit is not None and nearest is not None and nearest >= hit - _ROUNDING:
            steps.append(Step(tuple(order[:merge]), nearest))
            continue
        steps.append(Step((), nearest))
        if kept[query]:
            cached.append(query)
    return steps


def pairs_at_distances(
    cosines: NDArray[np.floating], kept: Sequence[bool], *, bands: Sequence[float], seed: int = 0
) -> list[tuple[int, int]]:
    """For each query with an adapter: the nearest earlier adapter, and of each band of cosines one at random.

    Returns:
        Pairs of a query and an earlier one whose adapter is to be tried on it.
    """
    rng = np.random.default_rng(seed)
    found: dict[tuple[int, int], None] = {}
    for query in range(1, len(cosines)):
        earlier = [other for other in range(query) if kept[other]]
        if not (kept[query] and earlier):
            continue
        row = cosines[query]
        found[query, max(earlier, key=lambda other: float(row[other]))] = None
        for low, high in itertools.pairwise(bands):
            inside = [other for other in earlier if low <= row[other] < high]
            if inside:
                found[query, int(rng.choice(inside))] = None
    return list(found)
