"""`whet forget`: remove examples and what was learnt from them."""

from __future__ import annotations

from typing import Annotated

import typer

from whet.cli.options import MemoryOption


def forget(
    example_ids: Annotated[
        list[str],
        typer.Argument(metavar="EXAMPLE_ID", help="Ids of examples, as `whet ask --json` and `run` give them."),
    ],
    memory: MemoryOption,
) -> None:
    """Remove examples and every adapter that was trained on one of them; all of them, or none if an id is unknown."""
    from whet.memory import Memory
    from whet.memory import forget as forget_examples

    with Memory.open(memory) as opened:
        forgotten = forget_examples(opened, example_ids)
    typer.echo(f"examples removed: {forgotten.examples:,}; adapters trained on them removed: {forgotten.adapters:,}")
