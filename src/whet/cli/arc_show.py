"""Tasks of ARC and scores as a person reads them, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from whet.cli.text import printable
from whet.tasks.arc import ArcScore, ArcTask, TaskResult, wilson
from whet.tasks.arc.draw import print_task
from whet.tasks.arc.submission import attempts_as_json

_NAMED = 5
"""How many tasks are named that were left out or not answered."""

_LISTED = 20
"""How many results have a line of their own."""


def tasks_json(tasks: Sequence[ArcTask]) -> str:
    """The tasks by id in ARC's own format, without test outputs."""
    return json.dumps({task.id: task.as_json() for task in tasks})


def print_tasks(tasks: Sequence[ArcTask]) -> None:
    """Draw the tasks below each other."""
    console = Console(highlight=False)
    for number, task in enumerate(tasks):
        if number:
            console.print()
        console.print(Text(printable(task.id), style="bold"))
        print_task(task, console)


def print_problems(problems: Sequence[str]) -> None:
    """Say on stderr what could not be read."""
    for problem in problems[:_NAMED]:
        typer.echo(f"left out: {printable(problem)}", err=True)
    if len(problems) > _NAMED:
        typer.echo(f"left out: {len(problems) - _NAMED:,} more", err=True)


def results_json(results: Mapping[str, TaskResult]) -> str:
    """By task id: the attempts at each test input, and how they were found."""
    return json.dumps(
        {
            task: {"attempts": [attempts_as_json(tried) for tried in result.attempts], **result.info}
            for task, result in results.items()
        }
    )


def print_results(tasks: Sequence[ArcTask], results: Mapping[str, TaskResult]) -> None:
    """A line a task: how its first attempt was found, and in which time; then what kept ways from doing more."""
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False)
    for heading in ("task", "candidates", "seconds", "sure", "first attempt found by"):
        table.add_column(heading, justify="right" if heading in ("candidates", "seconds", "sure") else "left")
    for task in tasks[:_LISTED]:
        info = results[task.id].info
        candidates = info.get("candidates", [])
        found = candidates[0]["found"] if candidates else info.get("problem", "no way found an answer")
        seconds = f"{info['seconds']:.1f}" if "seconds" in info else ""
        sure = [sum(both) for both in info.get("confidence", ()) if both]
        table.add_row(
            printable(task.id), str(len(candidates)), seconds, f"{min(sure):.0%}" if sure else "", printable(str(found))
        )
    console.print(table)
    if len(tasks) > _LISTED:
        typer.echo(f"… and {len(tasks) - _LISTED:,} more")
    tried = sum(bool(results[task.id].info.get("candidates")) for task in tasks)
    typer.echo(f"{tried:,} of {len(tasks):,} tasks have a candidate")
    _print_notes({task.id: results[task.id].info.get("notes", {}) for task in tasks})


def _print_notes(notes: Mapping[str, Mapping[str, str]]) -> None:
    """A line for each distinct note of a way, with the tasks that it is about; those about most tasks first."""
    about: dict[tuple[str, str], list[str]] = {}
    for task, by_way in notes.items():
        for way, note in by_way.items():
            about.setdefault((way, note), []).append(task)
    for (way, note), ids in sorted(about.items(), key=lambda one: -len(one[1]))[:_NAMED]:
        named = ", ".join(ids) if len(ids) <= _NAMED else f"{len(ids):,} tasks"
        typer.echo(printable(f"{way}, {named}: {note}"))
    if len(about) > _NAMED:
        typer.echo(f"… and {len(about) - _NAMED:,} more notes")


def score_json(score: ArcScore) -> str:
    """All of a score, as JSON."""
    return json.dumps(score.as_json(), indent=2)


def print_score(score: ArcScore) -> None:
    """Print what was scored, how much of it is right, and what was not answered."""
    count = len(score.tasks)
    right, test_inputs = score.test_inputs
    origin = "" if score.origin == score.source else f" ({score.origin})"
    console = Console(highlight=False)
    console.print(Text(printable(f"{score.source}{origin}: {count:,} tasks, {test_inputs:,} test inputs")))
    console.print()
    table = Table(box=None, pad_edge=False)
    for heading in ("two attempts", "of", "right", "%", "95 % interval"):
        table.add_column(heading, justify="left" if heading == "two attempts" else "right")
    table.add_row("score (task = its share of right test inputs)", *_numbers(score.points, count))
    table.add_row("tasks solved (all test inputs right)", *_numbers(score.solved, count))
    # Those of one task are not independent, so no interval.
    table.add_row("test inputs", *_numbers(right, test_inputs)[:-1])
    console.print(table)
    for ids, words in ((score.missing, "not answered, so wrong"), (score.unknown, "answered, but not of this set")):
        if ids:
            more = ", …" if len(ids) > _NAMED else ""
            typer.echo(f"{words} ({len(ids):,}): {printable(', '.join(ids[:_NAMED]))}{more}")
    print_problems(score.problems)


def _numbers(right: float, count: int) -> tuple[str, str, str, str]:
    low, high = wilson(right, count)
    return f"{count:,}", f"{right:.4g}", f"{100 * right / count:.1f}", f"{100 * low:.1f} to {100 * high:.1f}"
