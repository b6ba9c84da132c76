"""The vectors of a memory in RAM, kept up with what this and other processes write."""

from __future__ import annotations

import numpy as np

from whet.memory.base import Vectors
from whet.memory.database import Database, VectorBlock


class VectorCache:
    """All vectors of a memory, read again only when the file has changed, and then only what is new.

    Args:
        database: the open file.
        dimension: length of a vector.
    """

    def __init__(self, database: Database, dimension: int) -> None:
        self._database = database
        self._dimension = dimension
        self._version: tuple[int, int] | None = None
        self._held = self._nothing()

    def current(self) -> tuple[tuple[str, ...], Vectors]:
        """The ids in the order of insertion and their vectors `(ids, dimension)`, which must not be written to."""
        version = self._database.version()
        if version != self._version:
            self._held = self._read()
            self._version = version
        return self._held.ids, self._held.matrix

    def _read(self) -> VectorBlock:
        held = self._held
        new = self._database.vectors(held.last, self._dimension)
        if held.ids and new.removals != held.removals:
            held = self._nothing()
            new = self._database.vectors(held.last, self._dimension)
        matrix = np.concatenate([held.matrix, new.matrix]) if len(held.matrix) else new.matrix
        matrix.setflags(write=False)
        return VectorBlock(new.removals, new.last, held.ids + new.ids, matrix)

    def _nothing(self) -> VectorBlock:
        return VectorBlock(removals=0, last=0, ids=(), matrix=np.empty((0, self._dimension), np.float32))
