"""`whet tune`: better settings for a model and a memory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from whet.cli.errors import interrupted
from whet.cli.options import MemoryOption, ModelOption
from whet.cli.progress import counting, working


def tune(
    memory: MemoryOption,
    model: ModelOption = "whet-base",
    trials: Annotated[
        int, typer.Option("--trials", min=1, help="Sets of settings to try in all, the default first.")
    ] = 30,
    queries: Annotated[
        int,
        typer.Option("--queries", min=4, help="Texts of the memory to hold out: half to tune on, half to report on."),
    ] = 24,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Fixes every draw.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            dir_okay=False,
            metavar="FILE.json",
            help="Where the best settings go; MEMORY.tune.json unless told.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON, with all trials.")] = False,
) -> None:
    """Find settings that save more bits than the default, on texts of the memory.

    Every trial is on disk when it ends, in FILE with `.trials.sqlite` for its
    ending. Killed or interrupted, the same command goes on; with more --trials it
    tries more. The settings are for --config of ask, run and eval.
    """
    from whet.cli.tune_show import print_tuned, tuned_json
    from whet.evaluation import tune as find
    from whet.evaluation.files import write_atomically
    from whet.memory import Memory
    from whet.models import LanguageModel

    settings = out or memory.parent / f"{memory.resolve().name}.tune.json"
    file = settings.with_suffix(".trials.sqlite")
    try:
        with Memory.open(memory) as opened:
            with working(f"loading {model}"):
                loaded = LanguageModel.from_pretrained(model)
            with counting("tuning", "trials", trials) as progress:
                tuned = find(loaded, opened, file=file, trials=trials, queries=queries, seed=seed, progress=progress)
    except KeyboardInterrupt as error:
        raise interrupted(
            f"interrupted: the trials so far are in {file}; the same command goes on from there"
        ) from error
    write_atomically(settings, tuned.best.config.to_json() + "\n")
    if as_json:
        typer.echo(tuned_json(tuned))
    else:
        print_tuned(tuned)
        typer.echo(f"settings: {settings} (for --config)\ntrials:   {file}")
