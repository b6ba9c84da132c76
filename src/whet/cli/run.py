"""`whet run`: answer a file of queries."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from whet.cli import options as o
from whet.cli.errors import interrupted
from whet.cli.progress import counting
from whet.cli.session import answering


def run(
    queries: Annotated[
        Path,
        typer.Argument(
            exists=True, dir_okay=False, metavar="QUERIES.jsonl", help="Records with `text`, and perhaps `id`."
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", dir_okay=False, metavar="ANSWERS.jsonl", help="Where answers go.")
    ],
    memory: o.MemoryOption,
    model: o.ModelOption = "whet-base",
    config: o.ConfigOption = None,
    picks: o.PicksOption = 20,
    selector: o.SelectorOption = "sift",
    noise: o.NoiseOption = 0.1,
    alpha: o.AlphaOption = None,
    fresh: o.FreshOption = False,
    no_guard: o.NoGuardOption = False,
    seconds: o.SecondsOption = None,
    steps: o.StepsOption = None,
    max_tokens: o.MaxTokensOption = 64,
    temperature: o.TemperatureOption = 0.0,
    top_p: o.TopPOption = 1.0,
    stop: o.StopOption = [],  # noqa: B006  # typer makes a new list
    seed: o.SeedOption = 0,
) -> None:
    """Answer every query of a file. Killed or interrupted, the same command goes on: none is lost or answered twice.

    Each answer is a line: id, text, rung, picks (ids of examples), uncertainty (after the last pick), guard, seconds,
    notes, and the query as it was read. A query without an id has the number of its line.
    """
    from whet.scaling import answer_all, open_answers, read_queries

    wanted = read_queries(queries)
    try:
        with (
            open_answers(out) as answers,
            answering(
                memory=memory,
                model=model,
                config=config,
                picks=picks,
                selector=selector,
                noise=noise,
                alpha=alpha,
                fresh=fresh,
                no_guard=no_guard,
                seconds=seconds,
                steps=steps,
                max_tokens=max_tokens,
                temperature=temperature,
                top_p=top_p,
                stop=stop,
                seed=seed,
            ) as answer,
            counting("answering", "queries", len(wanted)) as progress,
        ):
            report = answer_all(wanted, answers, answer, progress=progress)
    except KeyboardInterrupt as error:
        raise interrupted(
            f"interrupted: the answers so far are in {out}; the same command goes on from there"
        ) from error
    typer.echo(f"queries answered: {report.answered:,}; answered before: {report.found:,}; answers: {out}")
