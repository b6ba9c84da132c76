"""What an embedder is, and the check that what it returns can be searched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whet.errors import InputError

Vectors = NDArray[np.float32]
"""Embeddings, one a row, unless a shape says otherwise."""

Progress = Callable[[int], None]
"""Is told how many items are done so far."""


class Embedder(Protocol):
    """Turns texts into unit vectors whose inner product is their similarity."""

    @property
    def name(self) -> str:
        """Which embedder this is: vectors of two embedders with one name may be compared."""
        ...

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        ...

    def embed(self, texts: Sequence[str], *, progress: Progress | None = None) -> Vectors:
        """Embed texts, none of them blank, into `(texts, dimension)` float32 with rows of norm 1."""
        ...


def unit_rows(vectors: ArrayLike, dimension: int, places: Sequence[str]) -> Vectors:
    """Scale every row to norm 1, after checking that it can be.

    Args:
        vectors: `(rows, dimension)`, as an embedder or a caller gave them.
        dimension: the length that the memory stores.
        places: what each row belongs to, for the message.

    Raises:
        InputError: the shape is another, or a row is not finite or zero.
    """
    rows = np.asarray(vectors, dtype=np.float64)
    if rows.shape != (len(places), dimension):
        raise InputError(
            f"the embeddings of {places[0]} to {places[-1]} have shape {rows.shape}; {(len(places), dimension)} "
            "was expected. Use the embedder that this memory was made with."
        )
    norms = np.linalg.norm(rows, axis=1)
    for row, place in enumerate(places):
        if not np.isfinite(norms[row]) or norms[row] == 0:
            fault = "zero" if norms[row] == 0 else "not finite (it holds NaN or infinity)"
            raise InputError(
                f"the embedding of {place} is {fault}, so nothing is similar to it. "
                "Look at that text and at the embedder; leave the text out if it is at fault."
            )
    unit: Vectors = (rows / norms[:, None]).astype(np.float32)
    return unit
