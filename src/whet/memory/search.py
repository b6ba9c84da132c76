"""Exact search in an array of unit vectors, and a random sample of it to compare with: pure functions of arrays."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from whet.errors import EmptyMemoryError, InputError
from whet.memory.base import Vectors

_ROUNDING = 1e-4
"""Bound on the rounding error of a float32 inner product of unit vectors, with a wide margin."""


@dataclass(frozen=True)
class Candidates:
    """Examples found for a query, in order.

    Attributes:
        ids: their ids.
        vectors: their embeddings, `(k, dimension)`.
        similarities: their cosines with the query, `(k,)`.
        query: the embedding of the query, `(dimension,)`.
    """

    ids: tuple[str, ...]
    vectors: Vectors
    similarities: Vectors
    query: Vectors


def nearest(ids: Sequence[str], matrix: Vectors, query: Vectors, k: int, exclude: Collection[str] = ()) -> Candidates:
    """The `k` examples of largest cosine, in descending order; equal ones in the order of the rows.

    Args:
        ids: one a row.
        matrix: `(rows, dimension)`, rows of norm 1.
        query: `(dimension,)`, of norm 1.
        k: how many; if there are fewer, all.
        exclude: ids that are passed over.

    Raises:
        InputError: k < 1.
        EmptyMemoryError: nothing is left to choose from.
    """
    wanted = _wanted(ids, k, exclude)
    coarse = np.vecdot(matrix, query)  # row by row as fast as it can be read; `matrix @ query` takes twice as long
    threshold = np.partition(coarse, -wanted)[-wanted] - _ROUNDING
    rows = np.flatnonzero(coarse >= threshold)
    # A matrix product rounds equal rows differently, by their place in the matrix; row by row in float64 it does not.
    exact = (matrix[rows].astype(np.float64) * query).sum(axis=1)
    order = rows[np.argsort(-exact, kind="stable")[:wanted]]
    return _candidates(ids, matrix, query, order, k, exclude)


def uniform(
    ids: Sequence[str], matrix: Vectors, query: Vectors, k: int, seed: int, exclude: Collection[str] = ()
) -> Candidates:
    """A uniform random sample of `k` examples without replacement, in random order; arguments as in `nearest`.

    Raises:
        InputError: k < 1.
        EmptyMemoryError: nothing is left to choose from.
    """
    wanted = _wanted(ids, k, exclude)
    order = np.random.default_rng(seed).choice(len(ids), size=wanted, replace=False)
    return _candidates(ids, matrix, query, order, k, exclude)


def _wanted(ids: Sequence[str], k: int, exclude: Collection[str]) -> int:
    """How many rows to take so that `k` remain when the excluded ones are dropped."""
    if k < 1:
        raise InputError(f"k={k} asks for no examples; give k >= 1.")
    if not ids:
        raise EmptyMemoryError(
            "the memory is empty, so there is nothing to learn from; "
            "fill it with `whet index PATH... --memory MEMORY` or memory.add(...)."
        )
    return min(k + len(exclude), len(ids))


def _candidates(
    ids: Sequence[str], matrix: Vectors, query: Vectors, order: np.ndarray, k: int, exclude: Collection[str]
) -> Candidates:
    barred = frozenset(exclude)
    rows = [row for row in order.tolist() if ids[row] not in barred][:k]
    if not rows:
        raise EmptyMemoryError(
            f"all {len(ids)} examples of the memory are excluded for this query; "
            "add more with `whet index PATH... --memory MEMORY` or memory.add(...)."
        )
    vectors = matrix[rows]
    similarities = (vectors.astype(np.float64) * query).sum(axis=1).astype(np.float32)
    return Candidates(tuple(ids[row] for row in rows), vectors, similarities, query)
