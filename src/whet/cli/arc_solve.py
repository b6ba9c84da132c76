"""`whet arc solve` and `whet arc report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from whet.cli.arc import FolderOption, JsonOption, SetOption, source_of
from whet.cli.progress import counting, working

if TYPE_CHECKING:
    from collections.abc import Sequence

    from whet.tasks.arc import ArcSet, ArcTask

_RESULTS, _SUBMISSION, _REPORT = "results.jsonl", "submission.json", "report.html"
OutOption = Annotated[
    Path, typer.Option("--out", metavar="FOLDER", help="Where results, submission and report go; a run goes on there.")
]


def solve(
    tasks: Annotated[list[str] | None, typer.Argument(metavar="[TASK]...", help="Ids of tasks; all if none.")] = None,
    set_name: SetOption = None,
    folder: FolderOption = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many tasks.")] = None,
    seconds: Annotated[float, typer.Option("--seconds-per-task", min=0.0, help="Wall-clock time a task.")] = 60.0,
    processes: Annotated[int, typer.Option(min=1, help="Tasks at a time.")] = 1,
    out: OutOption = Path("whet-arc"),
    as_json: JsonOption = False,
) -> None:
    """Solve tasks: search for programs that explain all demonstrations, and answer by them."""
    from whet.cli.arc_show import print_problems, print_results, results_json
    from whet.scaling.arc import solve_all
    from whet.tasks.arc import write_submission

    found = _read(source_of(set_name, folder))
    wanted = _wanted(found, tasks or [], limit)
    with counting("solving", "tasks", total=len(wanted)) as told:
        results = solve_all(
            wanted, out / _RESULTS, seconds=seconds, processes=processes, progress=lambda _, done: told(done)
        )
    write_submission(out / _SUBMISSION, {task: result.attempts for task, result in results.items()})
    if as_json:
        typer.echo(results_json(results))
        return
    print_results(wanted, results)
    print_problems(found.problems)
    given = f"--folder {folder}" if folder is not None else f"--set {set_name}"
    typer.echo(f"attempts: {out / _SUBMISSION}")
    typer.echo(f"next: whet arc report {given} --out {out}")


def report(
    set_name: SetOption = None,
    folder: FolderOption = None,
    out: OutOption = Path("whet-arc"),
    blind: Annotated[bool, typer.Option("--blind", help="Do not score: the answers stay closed.")] = False,
) -> None:
    """Draw what `whet arc solve` did as a page, with the score."""
    from whet.errors import InputError
    from whet.evaluation.arc import write_arc_report
    from whet.tasks.arc import read_results
    from whet.tasks.arc import score as score_submission

    source = source_of(set_name, folder)
    found = _read(source)
    results = read_results(out / _RESULTS)
    if not results:
        raise InputError(f"there are no results in {str(out)!r}; run whet arc solve with --out {out} first.")
    with working("drawing"):
        score = None if blind else score_submission({task: one.attempts for task, one in results.items()}, source)
        write_arc_report(out / _REPORT, found.tasks, results, score)
    typer.echo(f"report: {out / _REPORT}")


def _read(source: str) -> ArcSet:
    from whet.tasks.arc import load_set

    with working("reading"):
        return load_set(source)


def _wanted(found: ArcSet, ids: Sequence[str], limit: int | None) -> list[ArcTask]:
    chosen = [found[task] for task in ids] if ids else list(found)
    return chosen[:limit]
