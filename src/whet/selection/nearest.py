"""Nearest neighbours: the examples most similar to the query, each by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from whet.selection.base import Choice, FloatArray, Stop
from whet.selection.checks import checked_count, checked_noise, checked_vectors
from whet.selection.picking import follow


def cosines(candidates: FloatArray, query: FloatArray) -> FloatArray:
    """`(K,)`, the cosine of each candidate `(K, d)` to the query `(m, d)`, averaged over its rows."""
    directions = query / np.linalg.norm(query, axis=1, keepdims=True)
    along: FloatArray = candidates @ directions.mean(axis=0) / np.linalg.norm(candidates, axis=1)
    return along


@dataclass(frozen=True)
class Nearest:
    """The candidates in descending order of cosine to the query, each once; equal cosines go to the lowest index.

    Relevance only: near-duplicates are all taken. With several query rows, the cosine is the mean over them.
    The variance trace is that of the surrogate which SIFT uses, so that the two can be compared.

    Attributes:
        noise: λ > 0 of the surrogate; takes no part in the choice.

    >>> examples = np.array([[1.0, 0.0], [0.5, 0.8], [0.99, 0.1]])
    >>> Nearest().choose(examples, np.array([0.9, 0.4]), 2).indices.tolist()
    [2, 0]
    """

    noise: float = 0.01
    name: ClassVar[str] = "nearest"

    def __post_init__(self) -> None:
        checked_noise(self.noise)

    def choose(self, candidates: FloatArray, query: FloatArray, n: int, *, stop: Stop | None = None) -> Choice:
        """Choose up to `n` candidates `(K, d)` for the query `(d,)` or `(m, d)`; see `Selector.choose`.

        Raises:
            InputError: as every selector, and if `n` is above the number of candidates.
        """
        candidates, query = checked_vectors(candidates, query, self.noise)
        checked_count(n, available=len(candidates))
        order = np.argsort(-cosines(candidates, query), kind="stable")[:n]
        return follow(candidates, query, order, self.noise, stop)
