"""The answers of a batch: a JSON line each, appended by one process at a time; a killed one leaves no broken file."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any

from whet.errors import InputError, RecordError, StoreError
from whet.scaling.queries import BatchQuery, QueryId

_BEGINNING = b'{"id": '
"""What every line begins with: a last line that does not is someone else's, and is not cut off."""


class AnswerFile:
    """An open file of answers; made by `open_answers`.

    Args:
        path: for messages.
        file: open for appending, unbuffered.
        queries: the query of each line, as it was read, by id.
    """

    def __init__(self, path: Path, file: FileIO, queries: dict[QueryId, Any]) -> None:
        self.path = path
        self._file = file
        self._queries = queries

    def __len__(self) -> int:
        return len(self._queries)

    def holds(self, query: BatchQuery) -> bool:
        """Whether the query is answered.

        Raises:
            InputError: another query of the same id is.
        """
        if query.id not in self._queries:
            return False
        if self._queries[query.id] != query.record:
            raise InputError(
                f"{self.path} holds the answer to another query of the id {query.id!r}, so it belongs to other "
                "queries than these; name another file for the answers."
            )
        return True

    def append(self, query: BatchQuery, answer: Mapping[str, Any]) -> None:
        """Write a line: the id, the fields of the answer and, as `query`, the record of the query. It is on disk then.

        Raises:
            StoreError: the disk is full or cannot be written; the answers before this one are safe.
        """
        line = json.dumps({"id": query.id, **answer, "query": query.record}, ensure_ascii=False).encode("utf-8") + b"\n"
        with _reporting(self.path):
            written = 0
            while written < len(line):
                written += self._file.write(line[written:])
            os.fsync(self._file.fileno())
        self._queries[query.id] = query.record


@contextmanager
def open_answers(path: Path) -> Iterator[AnswerFile]:
    """Open a file of answers to go on with it, or begin it; a last line that a killed process left torn is cut off.

    Raises:
        StoreError: another process writes to it, or it cannot be written.
        RecordError: a line is no answer; the file is left as it is.
    """
    with _reporting(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = FileIO(path, "a+")
    with file:
        with _reporting(path):
            _lock(path, file)
            file.seek(0)
            content = file.readall()
        whole = content.rfind(b"\n") + 1
        queries = _queries(path, content[:whole])
        _require_torn(path, content[whole:])
        with _reporting(path):
            file.truncate(whole)
        yield AnswerFile(path, file, queries)


def _lock(path: Path, file: FileIO) -> None:
    """Let no other process append; the system releases the lock when this one ends, however it ends."""
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise StoreError(
            f"another run is writing its answers to {path}; wait until it is done, or name another file."
        ) from error


def _queries(path: Path, lines: bytes) -> dict[QueryId, Any]:
    queries: dict[QueryId, Any] = {}
    for number, line in enumerate(lines.split(b"\n")[:-1], start=1):
        try:
            record = json.loads(line)
            queries[record["id"]] = record["query"]
        except (ValueError, TypeError, KeyError) as error:
            raise RecordError(
                f"{path}:{number} is not an answer of a run, so nothing was written to this file; name another one."
            ) from error
    return queries


def _require_torn(path: Path, rest: bytes) -> None:
    if not (rest.startswith(_BEGINNING) or _BEGINNING.startswith(rest)):
        raise RecordError(
            f"{path} ends with a line that is no part of an answer, so nothing was written to this file; "
            "name another one."
        )


@contextmanager
def _reporting(path: Path) -> Iterator[None]:
    """Turn what the system raises into a StoreError."""
    try:
        yield
    except StoreError:
        raise
    except OSError as error:
        raise StoreError(
            f"the answers {str(path)!r} cannot be written: {error.strerror or error}. What is in the file is safe; "
            "free some space or choose another place, and the same command goes on."
        ) from error
