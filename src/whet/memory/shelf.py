"""Arrays on disk by key: what can be computed again but is worth keeping, such as activations of examples."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import numpy as np

from whet.errors import StoreError

_TABLE = "CREATE TABLE IF NOT EXISTS arrays (key TEXT PRIMARY KEY, dtype TEXT, shape TEXT, content BLOB) WITHOUT ROWID"


class Shelf:
    """One SQLite file of arrays, made on the first write; several processes may use it.

    Nothing on it is missed when it is lost: it can be removed at any time.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def get(self, key: str) -> np.ndarray | None:
        """The array of a key, or None if it is not there.

        Raises:
            StoreError: the file is damaged.
        """
        if not self.path.exists():
            return None
        with closing(self._open()) as database:
            try:
                row = database.execute("SELECT dtype, shape, content FROM arrays WHERE key = ?", (key,)).fetchone()
            except sqlite3.DatabaseError as error:
                raise self._damaged(error) from error
        if row is None:
            return None
        dtype, shape, content = row
        return np.frombuffer(content, dtype).reshape([int(n) for n in shape.split(",")]).copy()

    def put(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep arrays of at least one dimension, all of them or, if the process is killed, none.

        Raises:
            StoreError: the file is damaged, or the disk is full.
        """
        rows = [(key, a.dtype.str, ",".join(map(str, a.shape)), a.tobytes()) for key, a in arrays.items()]
        with closing(self._open()) as database:
            try:
                with database:
                    database.execute(_TABLE)
                    database.executemany("INSERT OR REPLACE INTO arrays VALUES (?, ?, ?, ?)", rows)
            except sqlite3.DatabaseError as error:
                raise self._damaged(error) from error

    def clear(self) -> None:
        """Remove everything."""
        self.path.unlink(missing_ok=True)

    def _open(self) -> sqlite3.Connection:
        try:
            return sqlite3.connect(self.path, timeout=30)
        except sqlite3.Error as error:
            raise self._damaged(error) from error

    def _damaged(self, error: sqlite3.Error) -> StoreError:
        return StoreError(
            f"the activations in {self.path} cannot be used: {error}. Remove that file (nothing is lost: it is made "
            "again), or free some space there."
        )
