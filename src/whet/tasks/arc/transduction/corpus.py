"""The tasks of a training set, and more pairs of them, to pretrain on."""

from __future__ import annotations

import gzip
import json
from collections.abc import Collection
from pathlib import Path
from typing import IO

from whet.errors import InputError, RecordError, StoreError
from whet.tasks.arc.grids import MAX_SIDE, as_grid
from whet.tasks.arc.sets import load_set
from whet.tasks.arc.transduction.encoding import Cells

TaskPairs = dict[str, list[tuple[Cells, Cells]]]
"""By the id of a task, its pairs."""


def training_tasks(source: str | Path, more: Path | None = None, *, never: Collection[str] = ()) -> TaskPairs:
    """The demonstrations of each task of a set, and further pairs of these tasks; its test outputs are not read.

    Args:
        source: the set, as `load_set` takes it.
        more: a `.jsonl` or `.jsonl.gz` file of `{"id": …, "pairs": [{"input": …, "output": …}]}`, such as re-arc;
            pairs with a side above 30 are left out.
        never: ids of tasks that are left out.

    Raises:
        RecordError: a line of the file cannot be read.
        StoreError: the file cannot be opened.
        WhetError: as in `load_set`.
    """
    found: TaskPairs = {task.id: [(p.input, p.output) for p in task.train] for task in load_set(source)}
    if more is not None:
        for task_id, pairs in _read(more).items():
            if task_id in found:
                found[task_id] += pairs
    return {task_id: pairs for task_id, pairs in sorted(found.items()) if task_id not in set(never)}


def _read(path: Path) -> TaskPairs:
    found: TaskPairs = {}
    try:
        with _open(path) as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    record = json.loads(line)
                    pairs = [(pair["input"], pair["output"]) for pair in record["pairs"] if _fits(pair)]
                    grids = [(as_grid(given), as_grid(wanted)) for given, wanted in pairs]
                    found.setdefault(str(record["id"]), []).extend(grids)
                except (InputError, ValueError, TypeError, KeyError) as error:
                    raise RecordError(
                        f"{path}, line {number}: {error!r}; give lines of {{'id': …, 'pairs': [{{'input': …, "
                        "'output': …}, …]}."
                    ) from error
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror or error}; check the path.") from error
    return found


def _fits(pair: dict[str, list[list[int]]]) -> bool:
    """Whether both grids are as small as grids of ARC are: re-arc has larger ones."""
    return all(max(len(grid), len(grid[0])) <= MAX_SIDE for grid in (pair["input"], pair["output"]))


def _open(path: Path) -> IO[str]:
    return gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8")
