"""The keeper of the answers: the one program that reads files in which test outputs stand. `keeper.ask` starts it.

What it tells others has no test output in it: tasks without them, and which attempts are right.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from whet.errors import InputError, RecordError, WhetError
from whet.tasks.arc.files import RawTask, read_source
from whet.tasks.arc.grids import as_grid
from whet.tasks.arc.task import parse_task


def tasks(source: str) -> dict[str, Any]:
    """The tasks of a source without their test outputs, and what could not be read.

    Raises:
        WhetError: as in `read_source`.
    """
    raw = read_source(source)
    found, problems = [], list(raw.problems)
    for task in raw.tasks:
        try:
            found.append([task.id, parse_task(task.id, task.content, task.where).as_json()])
        except RecordError as error:
            problems.append(str(error))
    return {"origin": raw.origin, "tasks": found, "problems": problems}


def judge(source: str, submission: dict[str, list[list[Any]]]) -> dict[str, Any]:
    """Which attempt at each test input is right: 1 for the first, 2 for the second, 0 for none.

    Args:
        source: the set.
        submission: by task id, the attempts at each test input, as lists of rows.

    Raises:
        InputError: a task is answered that has another number of test inputs.
        WhetError: as in `read_source`.
    """
    raw = read_source(source)
    right, problems = {}, list(raw.problems)
    for task in raw.tasks:
        try:
            outputs = _outputs(task)
        except RecordError as error:
            problems.append(str(error))
            continue
        attempts = submission.get(task.id, [[]] * len(outputs))
        if len(attempts) != len(outputs):
            raise InputError(
                f"the submission answers {len(attempts)} test inputs of the task {task.id!r}, which has "
                f"{len(outputs)}; answer each of them."
            )
        right[task.id] = [
            next((number for number, grid in enumerate(tried, start=1) if grid == output), 0)
            for tried, output in zip(attempts, outputs, strict=True)
        ]
    return {"origin": raw.origin, "right": right, "problems": problems}


def _outputs(task: RawTask) -> list[Any]:
    count = len(parse_task(task.id, task.content, task.where).test)
    outputs = task.solutions
    if outputs is None:
        outputs = [test.get("output") for test in task.content["test"]]
    if not isinstance(outputs, list) or len(outputs) != count or None in outputs:
        raise RecordError(f"{task.where}: there is no output for each of the {count} test inputs, so it is not scored.")
    try:
        return [as_grid(output, f"test[{i}].output").tolist() for i, output in enumerate(outputs)]
    except InputError as error:
        raise RecordError(f"{task.where}: {error}") from error


def main() -> None:
    """Read a request from stdin and write the reply to stdout, both as JSON."""
    request = json.load(sys.stdin)
    operations: dict[str, Callable[..., dict[str, Any]]] = {"tasks": tasks, "judge": judge}
    reply: dict[str, Any]
    try:
        reply = {"result": operations[request["operation"]](**request["arguments"])}
    except WhetError as error:
        reply = {"error": type(error).__name__, "message": str(error)}
    json.dump(reply, sys.stdout)


if __name__ == "__main__":
    main()
