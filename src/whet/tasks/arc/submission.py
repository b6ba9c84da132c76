"""Two attempts at each test input, in the format of the ARC competitions on Kaggle."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from whet.errors import InputError, RecordError, StoreError
from whet.tasks.arc.files import read_json
from whet.tasks.arc.grids import Grid, as_grid

Attempts: TypeAlias = tuple[Grid, Grid]
Submission: TypeAlias = dict[str, tuple[Attempts, ...]]
"""By task id, the attempts at each of its test inputs."""

NO_ATTEMPT = as_grid([[0, 0], [0, 0]])
"""What stands for an attempt that was not made, as in Kaggle's sample; the format has no gaps."""

_KEYS = ("attempt_1", "attempt_2")


def attempts(*grids: Grid) -> Attempts:
    """The first two of the grids; what is missing is `NO_ATTEMPT`."""
    first, second, *_ = (*grids, NO_ATTEMPT, NO_ATTEMPT)
    return first, second


def attempts_as_json(tried: Attempts) -> dict[str, Any]:
    """`{"attempt_1": grid, "attempt_2": grid}`."""
    return {key: grid.tolist() for key, grid in zip(_KEYS, tried, strict=True)}


def parse_attempts(raw: object, name: str) -> tuple[Attempts, ...]:
    """The attempts at all test inputs of a task from JSON.

    Args:
        raw: the parsed JSON: a list with an entry a test input.
        name: how messages call it.

    Raises:
        InputError: an attempt is missing or no grid.
    """
    if not isinstance(raw, list) or not raw:
        raise InputError(f"{name} has no list of answers; give one {{'attempt_1', 'attempt_2'}} a test input.")
    for index, entry in enumerate(raw):
        for key in _KEYS:
            if not isinstance(entry, dict) or key not in entry:
                raise InputError(f"{name}[{index}] has no {key!r}; there are two attempts at each test input.")
    return tuple(
        (as_grid(entry[_KEYS[0]], f"{name}[{i}].{_KEYS[0]}"), as_grid(entry[_KEYS[1]], f"{name}[{i}].{_KEYS[1]}"))
        for i, entry in enumerate(raw)
    )


def read_submission(path: Path) -> Submission:
    """Read and check a submission.

    Raises:
        StoreError: the file cannot be opened.
        RecordError: it is no submission; the message names the task, the test input and the attempt.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise RecordError(f"{path} is no submission; one is {{task id: [{{'attempt_1': grid, 'attempt_2': grid}}]}}.")
    try:
        return {task_id: parse_attempts(raw, task_id) for task_id, raw in content.items()}
    except InputError as error:
        raise RecordError(f"{path}: {error}") from error


def write_submission(path: Path, submission: Mapping[str, tuple[Attempts, ...]]) -> None:
    """Write a submission, whole or not at all, with the tasks sorted by id.

    Raises:
        StoreError: the disk is full or the place cannot be written; an older file is as it was.
    """
    content = {task_id: [attempts_as_json(a) for a in submission[task_id]] for task_id in sorted(submission)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        draft = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(content, file)
                file.flush()
                os.fsync(file.fileno())
            draft.chmod(0o644)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)  # it is there only if something went wrong
    except OSError as error:
        raise StoreError(
            f"the submission {str(path)!r} cannot be written: {error.strerror}; free some space or name another place."
        ) from error
