"""What a cache with a threshold does with a stream, query by query, when it is known what the guard finds."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_ROUNDING = 1e-6
"""That of the cache: a threshold of 1 is reached by an equal vector."""


@dataclass(frozen=True)
class Step:
    """What happens to a query.

    Attributes:
        adapters: numbers of the queries whose adapters are near enough to serve it, nearest first.
        serves: whether there are some and the guard lets them; otherwise the query trains its own.
    """

    adapters: tuple[int, ...]
    serves: bool


def simulate(
    cosines: NDArray[np.floating],
    kept: Sequence[bool],
    serves: Callable[[int, tuple[int, ...]], bool],
    hit: float | None,
    *,
    merge: int = 1,
) -> list[Step]:
    """Go through the stream: cached adapters serve, or one is trained; the guard can refuse either.

    Args:
        cosines: `(n, n)`, of all queries.
        kept: for each query whether the guard keeps the adapter that is trained for it, so that it is remembered.
        serves: whether the guard lets a query be served by these adapters.
        hit: cosine from which on an adapter serves; None: always train.
        merge: how many of the nearest adapters are merged where one serves.
    """
    cached: list[int] = []
    steps = []
    for query, row in enumerate(cosines):
        order = sorted(cached, key=lambda other: -row[other])  # stable: of equally near ones the oldest first
        near = hit is not None and bool(order) and float(row[order[0]]) >= hit - _ROUNDING
        adapters = tuple(order[:merge]) if near else ()
        steps.append(Step(adapters, near and serves(query, adapters)))
        if not steps[-1].serves and kept[query]:
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
