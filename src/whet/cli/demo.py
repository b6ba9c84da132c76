"""`whet demo`: the loop on text that every Python has, and tasks of ARC."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from whet.cli import options as o
from whet.cli.errors import interrupted
from whet.cli.progress import counting

_MOST_WORKERS = 8
"""Each worker holds the model and the embedder in about 0.6 GB."""


def demo(
    out: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="Where the memory, the report and the results go.")
    ] = Path("whet-demo"),
    model: o.ModelOption = "whet-base",
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Processes; unless told, one a core and at most 8.")
    ] = None,
) -> None:
    """Show what whet does, on Python's own sources and help texts and on tasks of ARC, in six minutes on two cores."""
    from whet.cli.demo_show import show
    from whet.evaluation.demo import run_demo

    try:
        report = run_demo(
            out,
            model=model,
            workers=workers or min(_MOST_WORKERS, os.cpu_count() or 1),
            counting=counting,
            show=show,
        )
    except KeyboardInterrupt as error:
        raise interrupted("interrupted: the same command goes on from what is stored") from error
    typer.echo(f"report: {report}")
