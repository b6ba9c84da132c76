"""Tasks of ARC and scores as a person reads them, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from whet.cli.text import printable
from whet.tasks.arc import ArcScore, ArcTask, wilson
from whet.tasks.arc.draw import print_task

_NAMED = 5
"""How many tasks are named that were left out or not answered."""


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
