"""`whet ask`: sharpen the model on one prompt and continue it."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from whet.cli import options as o
from whet.cli.progress import working
from whet.cli.session import answering


def ask(
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="What the answer continues; - reads it from stdin.")],
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
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer with all its details as JSON.")] = False,
) -> None:
    """Learn from the memory what helps with PROMPT, and continue it."""
    from whet.cli.show import answer_json, print_answer

    if prompt == "-":
        prompt = sys.stdin.read().removesuffix("\n")  # the line end is the shell's
    with (
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
        ) as answer_to,
        working("learning and answering"),
    ):
        answer = answer_to(prompt)
    if as_json:
        typer.echo(answer_json(answer))
    else:
        print_answer(answer)
