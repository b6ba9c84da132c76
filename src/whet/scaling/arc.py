"""Solving many ARC tasks in processes: each result is on disk at once, and a process that is lost costs one task."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from whet.errors import InputError, MissingExtraError
from whet.tasks.arc.results import TaskResult, append_result, read_results
from whet.tasks.arc.submission import attempts

if TYPE_CHECKING:
    from whet.tasks.arc.task import ArcTask
    from whet.tasks.arc.ways import Settings

_GRACE = 30.0
"""Seconds after its time at which a process that has not answered is ended; starting it takes some of them."""


def solve_all(
    tasks: Sequence[ArcTask],
    results: Path,
    *,
    seconds: float,
    processes: int,
    settings: Settings,
    progress: Callable[[TaskResult | None, int], None] | None = None,
) -> dict[str, TaskResult]:
    """Solve, in order, the tasks that the file holds no result of.

    A task whose process dies or does not end gets no attempts, and the reason as `problem` in its result's `info`.

    Args:
        tasks: with different ids.
        results: where a line a task is appended; a run that is started again goes on there.
        seconds: wall-clock time a task.
        processes: tasks at a time.
        settings: the ways of solving and what they work with.
        progress: told the newest result (None at first) and how many tasks are done, those of earlier runs among them.

    Returns:
        The results of all tasks by id.

    Raises:
        InputError: the time is negative or no number, there is no process, or the file holds results that were found
            in another way.
        MissingExtraError: `whet[arc]` is not installed.
        StoreError: a result cannot be written or read.
    """
    if not seconds >= 0:
        raise InputError(f"seconds={seconds}: the time a task is 0 or more seconds; with 0 nothing is tried.")
    if processes < 1:
        raise InputError(f"processes={processes}: give at least 1.")
    if find_spec("pebble") is None:
        raise MissingExtraError("solving in processes needs pebble; install it with: pip install 'whet[arc]'")
    known = read_results(results) if results.exists() else {}
    found = {task.id: known[task.id] for task in tasks if task.id in known}
    _refuse_others(found, settings.words(seconds), results)
    told = progress or (lambda *_: None)
    told(None, len(found))
    left = [task for task in tasks if task.id not in found]
    for result in _solved(left, seconds, processes, settings):
        append_result(results, result)
        found[result.id] = result
        told(result, len(found))
    return found


def _refuse_others(found: Mapping[str, TaskResult], asked: str, results: Path) -> None:
    """Do nothing, unless a result was found in another way than the one that is asked for."""
    for result in found.values():
        before = result.info.get("asked", asked)  # one whose process was lost does not say
        if before != asked:
            raise InputError(
                f"{str(results)!r} holds a result of {result.id!r} by {before}, and now {asked} are asked for; name "
                "another folder."
            )


def _solved(tasks: Sequence[ArcTask], seconds: float, processes: int, settings: Settings) -> Iterator[TaskResult]:
    """Results as they come."""
    from multiprocessing import get_context

    from pebble import ProcessPool

    from whet.tasks.arc.solve import solve

    # a fresh process has no threads of its parent, which a fork could find holding a lock
    with ProcessPool(processes, context=get_context("spawn")) as pool:
        try:
            open_: dict[Future[TaskResult], ArcTask] = {
                pool.schedule(solve, args=[task, seconds, settings], timeout=seconds + _GRACE): task for task in tasks
            }
            while open_:
                done, _ = wait(open_, return_when=FIRST_COMPLETED)
                for future in done:
                    yield _result(future, open_.pop(future))
        except BaseException:
            pool.stop()  # type: ignore[no-untyped-call]
            raise


def _result(future: Future[TaskResult], task: ArcTask) -> TaskResult:
    from pebble import ProcessExpired

    try:
        return future.result()
    except TimeoutError:
        problem = f"no answer {_GRACE:g} seconds after its time was over"
    except ProcessExpired as error:
        problem = f"its process ended with the code {error.exitcode}; it may have run out of memory"
    except Exception as error:  # noqa: BLE001 - whatever a task does to a solver, the other tasks go on
        problem = f"{type(error).__name__}: {error}"
    return TaskResult(task.id, tuple(attempts() for _ in task.test), {"problem": problem, "candidates": []})
