"""The result of each task, on disk as soon as it is there, so that a killed run goes on where it was."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from whet.errors import InputError, RecordError, StoreError
from whet.tasks.arc.submission import Attempts, attempts_as_json, parse_attempts


@dataclass(frozen=True, eq=False)
class TaskResult:
    """What a solver made of a task.

    Attributes:
        id: of the task.
        attempts: at each of its test inputs.
        info: what else is worth keeping, such as seconds; JSON values.
    """

    id: str
    attempts: tuple[Attempts, ...]
    info: Mapping[str, Any] = field(default_factory=dict)


def append_result(path: Path, result: TaskResult) -> None:
    """Append a line. It is on disk afterwards; a line that a killed process left torn is cut off first.

    Raises:
        StoreError: the disk is full or the file cannot be written; the lines before are safe.
    """
    record = {"id": result.id, "attempts": [attempts_as_json(a) for a in result.attempts], "info": dict(result.info)}
    line = json.dumps(record).encode() + b"\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b", buffering=0) as file:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX)
            file.truncate(_whole(file.fileno()))
            written = 0
            while written < len(line):
                written += file.write(line[written:])
            os.fsync(file.fileno())
    except OSError as error:
        raise StoreError(
            f"the result of the task {result.id!r} cannot be written to {str(path)!r}: {error.strerror}. The lines "
            "before it are safe; free some space, and the same command goes on."
        ) from error


def read_results(path: Path) -> dict[str, TaskResult]:
    """The results by task id; a torn last line is ignored, and of two results of a task the later counts.

    Raises:
        StoreError: the file is there and cannot be read.
        RecordError: another line is no result.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise StoreError(f"the results {str(path)!r} cannot be read: {error.strerror}; check the path.") from error
    results = {}
    for number, line in enumerate(content.split(b"\n")[:-1], start=1):
        try:
            record = json.loads(line)
            attempts = parse_attempts(record["attempts"], "attempts")
            results[str(record["id"])] = TaskResult(str(record["id"]), attempts, record["info"])
        except (InputError, ValueError, TypeError, KeyError) as error:
            raise RecordError(f"{path}:{number} is no result of a task: {error}; name another file.") from error
    return results


def _whole(file: int) -> int:
    """How many bytes the lines that have an end take, read from the end of the file."""
    position = os.fstat(file).st_size
    while position > 0:
        start = max(0, position - 65536)
        end = os.pread(file, position - start, start).rfind(b"\n")
        if end >= 0:
            return start + end + 1
        position = start
    return 0
