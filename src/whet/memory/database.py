"""The SQLite file of a memory: one writer, many readers, and every batch one transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from whet.errors import StoreError
from whet.memory.base import Vectors
from whet.types import Example

FILE_NAME = "memory.sqlite"

_FORMAT = "1"
_BUSY_SECONDS = 10.0
_PAGE_ROWS = 1000
_PAGE_BYTES = 16384  # An example of 1000 characters with its vector would leave a third of a default page empty.

# A position is never given twice (AUTOINCREMENT), so ascending positions are the order of insertion for ever.
# The vector comes before the texts: SQLite reads a long row from its beginning.
_TABLES = (
    "CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS examples (position INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
    " vector BLOB NOT NULL, input TEXT NOT NULL, target TEXT NOT NULL, meta TEXT NOT NULL)",
)

_ADVICE = {
    "full": "free some space on that disk and run it again",
    "disk I/O": "check the disk and whether the folder is still mounted, then run it again",
    "locked": "another process is writing to it; wait until it is done, then run it again",
    "readonly": "it may not be written here; check the permissions of the folder",
    "not a database": "the file is damaged or something else; restore it from a copy, or index into a new folder",
    "malformed": "the file is damaged; restore it from a copy, or index into a new folder",
    "unable to open": "check that the folder exists and may be read and written",
    "closed": "open it again with Memory.open",
    "thread": "open the memory once in every thread",
}
"""What to do, by a word in SQLite's message."""


class Database:
    """Examples, their vectors and the settings of a memory, in one SQLite file.

    Use `Database.create` and `Database.open`. All methods raise a StoreError that says what to do when SQLite fails:
    a full disk, a lock held too long, a damaged file. What was committed before stays readable.
    """

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        self.folder = folder
        self._connection = connection

    @classmethod
    def create(cls, folder: Path, embedder: str, dimension: int) -> Database:
        """Make the file, or open it if it exists; the settings of an existing one are left as they are."""
        file = folder / FILE_NAME
        if folder.exists() and not file.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise StoreError(
                f"{str(folder)!r} exists and is not a memory; give the name of a new or empty folder, "
                "or of a memory made by `whet index`."
            )
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"the folder {str(folder)!r} cannot be made: {error.strerror}; choose another.") from error
        database = cls(folder, _connect(folder, "rwc"))
        with database._reporting():
            database._connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
            database._connection.execute("PRAGMA journal_mode = WAL")
            with database._writing():
                for table in _TABLES:
                    database._connection.execute(table)
                database._connection.executemany(
                    "INSERT OR IGNORE INTO settings VALUES (?, ?)",
                    [("format", _FORMAT), ("embedder", embedder), ("dimension", str(dimension)), ("removals", "0")],
                )
        database._check_format()
        return database

    @classmethod
    def open(cls, folder: Path) -> Database:
        """Open the file of an existing memory."""
        if not (folder / FILE_NAME).is_file():
            found = "a file" if folder.is_file() else "a folder without one" if folder.is_dir() else "nothing there"
            raise StoreError(
                f"there is no memory at {str(folder)!r} ({found}); make one with `whet index PATH... --memory {folder}`"
            )
        database = cls(folder, _connect(folder, "rw"))
        database._check_format()
        return database

    def setting(self, name: str) -> str:
        """The value of a setting: `format`, `embedder`, `dimension` or `removals`."""
        with self._reporting():
            row = self._connection.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return str(row[0])

    def version(self) -> int:
        """A number that changes when another connection has written."""
        with self._reporting():
            return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    def count(self) -> int:
        """How many examples there are."""
        with self._reporting():
            return int(self._connection.execute("SELECT count(*) FROM examples").fetchone()[0])

    def known(self, ids: Sequence[str]) -> set[str]:
        """Which of these ids are there."""
        with self._reporting():
            return {row[0] for row in self._connection.execute(f"SELECT id FROM examples WHERE {_AMONG}", _json(ids))}

    def fetch(self, ids: Sequence[str]) -> dict[str, Example]:
        """The examples of those ids that are there."""
        query = f"SELECT id, input, target, meta FROM examples WHERE {_AMONG}"
        with self._reporting():
            return {row[0]: _example(*row[1:]) for row in self._connection.execute(query, _json(ids))}

    def examples(self) -> Iterator[Example]:
        """All examples in the order of insertion, read page by page: writing meanwhile is allowed."""
        query = "SELECT position, input, target, meta FROM examples WHERE position > ? ORDER BY position LIMIT ?"
        position = 0
        while True:
            with self._reporting():
                rows = self._connection.execute(query, (position, _PAGE_ROWS)).fetchall()
            if not rows:
                return
            position = rows[-1][0]
            yield from (_example(*row[1:]) for row in rows)

    def vectors(self, after: int, dimension: int) -> tuple[int, int, list[str], Vectors]:
        """The vectors inserted after a position, in order.

        Returns:
            How many removals there have been, the last position, the ids and their vectors `(ids, dimension)`.
        """
        query = "SELECT position, id, vector FROM examples WHERE position > ? ORDER BY position"
        with self._reporting(), self._connection:
            self._connection.execute("BEGIN")  # Both reads see one state of the file.
            removals = int(self.setting("removals"))
            rows = self._connection.execute(query, (after,)).fetchall()
        matrix = np.frombuffer(b"".join(row[2] for row in rows), dtype="<f4").reshape(len(rows), dimension)
        return removals, rows[-1][0] if rows else after, [row[1] for row in rows], matrix

    def insert(self, examples: Sequence[Example], vectors: Vectors) -> int:
        """Store examples with their vectors, all or none; those already there are left alone. How many were new."""
        rows = [
            (example.id, vector.astype("<f4").tobytes(), example.input, example.target, json.dumps(dict(example.meta)))
            for example, vector in zip(examples, vectors, strict=True)
        ]
        query = "INSERT OR IGNORE INTO examples (id, vector, input, target, meta) VALUES (?, ?, ?, ?, ?)"
        with self._reporting(), self._writing():
            return self._connection.executemany(query, rows).rowcount

    def delete(self, ids: Sequence[str]) -> int:
        """Remove examples, all or none; how many were there. What they said is overwritten in the file."""
        with self._reporting():
            with self._writing():
                removed = self._connection.execute(f"DELETE FROM examples WHERE {_AMONG}", _json(ids)).rowcount
                self._connection.execute("UPDATE settings SET value = value + ? WHERE name = 'removals'", (removed,))
            # The log beside the file may still hold what was removed.
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return removed

    def close(self) -> None:
        """Close the file; closing twice is allowed."""
        self._connection.close()

    def _check_format(self) -> None:
        try:
            found = self.setting("format")
        except (StoreError, TypeError) as error:
            self.close()
            raise StoreError(
                f"{str(self.folder / FILE_NAME)!r} is not the file of a memory: {error}"
            ) from error
        if found != _FORMAT:
            self.close()
            raise StoreError(
                f"the memory {str(self.folder)!r} has format {found}, and this version of whet reads format {_FORMAT}; "
                "use the version that made it, or index again into a new folder."
            )

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """A transaction that is committed at the end, or rolled back when anything is raised."""
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            yield

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        """Turn what SQLite raises into a StoreError with advice."""
        try:
            yield
        except sqlite3.Error as error:
            advice = next((advice for word, advice in _ADVICE.items() if word in str(error)), "check the file")
            raise StoreError(f"the memory {str(self.folder)!r}: {error}; {advice}.") from error


_AMONG = "id IN (SELECT value FROM json_each(?))"


def _json(ids: Iterable[str]) -> tuple[str]:
    return (json.dumps(list(ids)),)


def _example(input: str, target: str, meta: str) -> Example:
    return Example(target=target, input=input, meta=json.loads(meta))


def _connect(folder: Path, mode: str) -> sqlite3.Connection:
    """A connection in which transactions are begun by hand, and removed content is overwritten with zeros."""
    address = f"{(folder.resolve() / FILE_NAME).as_uri()}?mode={mode}"
    try:
        connection = sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)
    except sqlite3.Error as error:
        raise StoreError(
            f"the memory {str(folder)!r}: {error}; check that the folder exists and may be read and written."
        ) from error
    connection.execute("PRAGMA secure_delete = ON")
    return connection
