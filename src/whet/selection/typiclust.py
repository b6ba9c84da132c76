"""TypiClust: the most typical candidate of each cluster."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from whet.selection.arrays import FloatArray
from whet.selection.base import Predictions
from whet.selection.criteria import OrderSelector

NEIGHBOURS = 20
"""A candidate is typical if this many are near, fewer in a small cluster."""

BLOCK = 2**22
"""Numbers in each array that is held at once."""

_LIMITING = threading.Lock()


@dataclass(frozen=True)
class TypiClust(OrderSelector):
    """From each of n clusters of the candidates, the largest first, the one in the densest place.

    The candidates are clustered by k-means into as many clusters as picks are asked for. Typical is who has a small
    mean distance to its 20 nearest neighbours in its cluster, or to all where there are fewer. A cluster gives its next
    one only when all others have given as many, which happens where there are fewer distinct candidates than picks, or
    constraints leave nothing of a cluster; all candidates are clustered, also those that constraints rule out. Equally
    large clusters go by their lowest index, equally typical candidates too.

    The first picks of a longer selection are not a shorter selection: n decides the clusters. The query plays no part.
    Nothing is random; k-means starts from a fixed seed. Scores are ranks: a cost of the candidates counts for the
    budget only.

    Source: Hacohen, Dekel and Weinshall 2022, arXiv 2202.02794, algorithm 1. Cost: that of k-means, and
    O(d Σ_c s_c²) for clusters of s_c candidates.
    """

    name: ClassVar[str] = "typiclust"

    def scorer(
        self,
        candidates: NDArray[Any],
        targets: NDArray[Any],  # noqa: ARG002
        n: int,
        predictions: Predictions | None,  # noqa: ARG002
    ) -> ClusterTurns:
        """Ranks by cluster and by typicality."""
        rows = candidates.astype(np.float64)
        clusters = _clusters(rows, n)
        atypical = np.empty(len(rows))
        for cluster in range(clusters.max() + 1):
            members = np.flatnonzero(clusters == cluster)
            atypical[members] = neighbour_distance(rows[members])
        return ClusterTurns(clusters, atypical)


class ClusterTurns:
    """Takes from the clusters in turn, the largest first.

    Args:
        clusters: `(K,)`, the cluster of each candidate, a whole number from 0 with none left out.
        atypical: `(K,)`, smaller for what its cluster should rather give.
    """

    def __init__(self, clusters: NDArray[np.int64], atypical: FloatArray) -> None:
        self._clusters = clusters
        _, lowest, sizes = np.unique(clusters, return_index=True, return_counts=True)
        order = np.lexsort((atypical, lowest[clusters], -sizes[clusters]))  # stable: ties stay in order of index
        self._place = np.empty(len(clusters))
        self._place[order] = np.arange(len(clusters))
        self._given = np.zeros(len(sizes))

    def scores(self) -> FloatArray:
        """`(K,)`."""
        return -(self._place + len(self._place) * self._given[self._clusters])

    def take(self, index: int) -> None:
        """It is the turn of the other clusters."""
        self._given[self._clusters[index]] += 1


def neighbour_distance(rows: FloatArray) -> FloatArray:
    """`(s,)`, mean distance of each of `(s, d)` to its nearest others, at most 20 of them; 0 if there are none."""
    count = min(NEIGHBOURS, len(rows) - 1)
    if count == 0:
        return np.zeros(1)
    lengths = np.vecdot(rows, rows)
    step = max(1, BLOCK // max(len(rows), count * rows.shape[1]))
    means = []
    for start in range(0, len(rows), step):
        block = rows[start : start + step]
        places = np.arange(len(block))
        squared = lengths - 2 * block @ rows.T  # less the block's own lengths, the same all along a row
        squared[places, start + places] = np.inf
        nearest = np.argpartition(squared, count - 1, axis=1)[:, :count]
        # Those few once more from differences: rounding would tell copies apart
        distances = np.linalg.norm(rows[nearest] - block[:, None], axis=2)
        means.append(np.sort(distances, axis=1).mean(axis=1))
    return np.concatenate(means)


def _clusters(rows: FloatArray, n: int) -> NDArray[np.int64]:
    """`(K,)`, clusters of k-means as whole numbers from 0, none of them empty."""
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    distinct = len(np.unique(rows, axis=0))
    # Threads would add up the centres in any order. Limits are the process's: two that overlap would leave one behind.
    with _LIMITING, threadpool_limits(1, user_api="openmp"):
        found = KMeans(min(n, distinct), n_init=1, random_state=0).fit_predict(rows)
    clusters: NDArray[np.int64] = np.unique(found, return_inverse=True)[1]
    return clusters
