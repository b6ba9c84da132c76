"""`whet arc pretrain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from whet.cli.errors import interrupted
from whet.cli.progress import counting, working


def pretrain(
    folder: Annotated[Path, typer.Argument(file_okay=False, metavar="FOLDER", help="Where the net goes.")],
    steps: Annotated[int, typer.Option(min=1, help="Number of the last step.")],
    decay: Annotated[int, typer.Option(min=0, help="Last steps, in which the learning rate falls to zero.")] = 0,
    lr: Annotated[float, typer.Option(min=0.0, help="Learning rate before that.")] = 2e-3,
    tokens: Annotated[int, typer.Option(min=1, help="About how many tokens a step is made with.")] = 2200,
    sides: Annotated[
        list[int], typer.Option("--side", min=4, max=30, help="Largest side of a task's grids; may come several times.")
    ] = [4, 5, 5, 6, 7, 8, 10],  # noqa: B006  # typer makes a new list
    source: Annotated[
        str | None, typer.Option("--set", metavar="SET", help="Training tasks beside those made up: a set or a folder.")
    ] = None,
    more: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, metavar="PAIRS.jsonl.gz", help="More pairs of them, as re-arc has."),
    ] = None,
    never: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, metavar="IDS.txt", help="Ids of tasks to leave out, one a line."),
    ] = None,
    seed: Annotated[int, typer.Option(help="What all draws depend on.")] = 0,
) -> None:
    """Pretrain the net that answers grid tasks in one pass. Interrupted, the same command goes on where it was.

    The net is written every 100 steps to `state.safetensors`, with all that is needed to go on, and before the learning
    rate falls to `plateau.safetensors`, from where a longer run can go on.
    """
    from whet.models.grid_net import GridNetConfig
    from whet.tasks.arc.transduction.corpus import training_tasks
    from whet.tasks.arc.transduction.pretrain import Pretraining, Schedule
    from whet.tasks.arc.transduction.sampling import Mixture, Sampler

    if source is None and more is not None:
        raise typer.BadParameter("it adds pairs to the tasks of --set; give that too.", param_hint="--more")
    with working("reading"):
        left_out = never.read_text(encoding="utf-8").split() if never is not None else ()
        tasks = training_tasks(source, more, never=left_out) if source is not None else {}
    pretraining = Pretraining(GridNetConfig(), folder, seed=seed)
    first = pretraining.step
    losses: list[float] = []

    def log(numbers: dict[str, Any]) -> None:
        losses.append(numbers["loss"])
        told(numbers["step"])

    try:
        with counting("pretraining", "steps", total=steps) as told:
            schedule = Schedule(steps, lr, decay=decay)
            pretraining.train(
                Sampler(Mixture(tasks, sides=sides, tokens=tokens), seed), schedule, save_every=100, log=log
            )
    except KeyboardInterrupt as error:
        raise interrupted(
            f"interrupted: the last hundred is in {folder}; the same command goes on from there"
        ) from error
    recent = losses[-100:]
    mean = f"; mean loss of the last {len(recent)}: {sum(recent) / len(recent):.3f}" if recent else ""
    typer.echo(f"steps: {pretraining.step:,}, of which {pretraining.step - first:,} now{mean}")
    typer.echo(f"net: {pretraining.path}")
