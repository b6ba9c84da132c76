"""The SQLite file of a memory: one writer, many readers, and every batch one transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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

_AMONG = "id IN (SELECT value FROM json_each(?))"

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


@dataclass(frozen=True)
class VectorBlock:
    """The vectors of the examples from some position on.

    Attributes:
        removals: how many examples have been removed in the life of the memory.
        last: position of the last example.
        ids: of the examples, in order.
        matrix: their vectors, `(ids, dimension)`.
    """

    removals: int
    last: int
    ids: tuple[str, ...]
    matrix: Vectors


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
        with reporting(folder):
            if not database._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                database._make_tables(embedder, dimension)
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
        with reporting(self.folder):
            row = self._connection.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return str(row[0])

    def version(self) -> tuple[int, int]:
        """Numbers that change when another connection or this one has written."""
        with reporting(self.folder):
            others = int(self._connection.execute("PRAGMA data_version").fetchone()[0])
            return others, self._connection.total_changes

    def count(self) -> int:
        """How many examples there are."""
        with reporting(self.folder):
            return int(self._connection.execute("SELECT count(*) FROM examples").fetchone()[0])

    def known(self, ids: Sequence[str]) -> set[str]:
        """Which of these ids are there."""
        with reporting(self.folder):
            return {row[0] for row in self._connection.execute(f"SELECT id FROM examples WHERE {_AMONG}", _json(ids))}

    def fetch(self, ids: Sequence[str]) -> dict[str, Example]:
        """The examples of those ids that are there."""
        query = f"SELECT id, input, target, meta FROM examples WHERE {_AMONG}"
        with reporting(self.folder):
            return {row[0]: _example(*row[1:]) for row in self._connection.execute(query, _json(ids))}

    def examples(self) -> Iterator[Example]:
        """All examples in the order of insertion, read page by page: writing meanwhile is allowed."""
        query = "SELECT position, input, target, meta FROM examples WHERE position > ? ORDER BY position LIMIT ?"
        position = 0
        while True:
            with reporting(self.folder):
                rows = self._connection.execute(query, (position, _PAGE_ROWS)).fetchall()
            if not rows:
                return
            position = rows[-1][0]
            yield from (_example(*row[1:]) for row in rows)

    def vectors(self, after: int, dimension: int) -> VectorBlock:
        """The vectors inserted after a position, in order."""
        condition = "FROM examples WHERE position > ?"
        with reporting(self.folder), self._connection:
            self._connection.execute("BEGIN")  # All reads see one state of the file.
            removals = int(self.setting("removals"))
            count = self._connection.execute(f"SELECT count(*) {condition}", (after,)).fetchone()[0]
            matrix = np.empty((count, dimension), np.float32)
            ids, last = [], after
            rows = self._connection.execute(f"SELECT position, id, vector {condition} ORDER BY position", (after,))
            for row, (last, id, vector) in enumerate(rows):  # noqa: B007
                ids.append(id)
                matrix[row] = np.frombuffer(vector, dtype="<f4")
        return VectorBlock(removals, last, tuple(ids), matrix)

    def insert(self, examples: Sequence[Example], vectors: Vectors) -> int:
        """Store examples with their vectors, all or none; those already there are left alone. How many were new."""
        rows = [
            (example.id, vector.astype("<f4").tobytes(), example.input, example.target, json.dumps(dict(example.meta)))
            for example, vector in zip(examples, vectors, strict=True)
        ]
        query = "INSERT OR IGNORE INTO examples (id, vector, input, target, meta) VALUES (?, ?, ?, ?, ?)"
        with reporting(self.folder), self._writing():
            return self._connection.executemany(query, rows).rowcount

    def delete(self, ids: Sequence[str]) -> int:
        """Remove examples, all or none; how many were there. What they said is overwritten in the file."""
        with reporting(self.folder):
            with self._writing():
                removed = self._connection.execute(f"DELETE FROM examples WHERE {_AMONG}", _json(ids)).rowcount
                self._connection.execute("UPDATE settings SET value = value + ? WHERE name = 'removals'", (removed,))
            # The log beside the file may still hold what was removed.
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return removed

    def close(self) -> None:
        """Close the file; closing twice is allowed."""
        self._connection.close()

    def _make_tables(self, embedder: str, dimension: int) -> None:
        """Make what is missing: another process may be making it at the same time."""
        self._connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        self._connection.execute("PRAGMA journal_mode = WAL")
        with self._writing():
            for table in _TABLES:
                self._connection.execute(table)
            self._connection.executemany(
                "INSERT OR IGNORE INTO settings VALUES (?, ?)",
                [("format", _FORMAT), ("embedder", embedder), ("dimension", str(dimension)), ("removals", "0")],
            )

    def _check_format(self) -> None:
        try:
            found = self.setting("format")
        except (StoreError, TypeError) as error:
            self.close()
            raise StoreError(f"{str(self.folder / FILE_NAME)!r} is not the file of a memory: {error}") from error
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
def reporting(folder: Path) -> Iterator[None]:
    """Turn what SQLite raises into a StoreError with advice."""
    try:
        yield
    except sqlite3.Error as error:
        advice = next((advice for word, advice in _ADVICE.items() if word in str(error)), "check the file")
        raise StoreError(f"the memory {str(folder)!r}: {error}; {advice}.") from error


def _json(ids: Iterable[str]) -> tuple[str]:
    return (json.dumps(list(ids)),)


def _example(input: str, target: str, meta: str) -> Example:
    return Example(target=target, input=input, meta=json.loads(meta))


def _connect(folder: Path, mode: str) -> sqlite3.Connection:
    """A connection in which transactions are begun by hand, and removed content is overwritten with zeros."""
    address = f"{(folder.resolve() / FILE_NAME).as_uri()}?mode={mode}"
    with reporting(folder):
        connection = sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)
        connection.execute("PRAGMA secure_delete = ON")
    return connection
