"""`whet select`: what a memory would teach about a query, and why."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from whet.cli import options as o
from whet.cli.progress import working

_LIMITS = "What the picks must keep to"


def select(
    query: Annotated[
        str, typer.Option("--query", "-q", metavar="TEXT", help="What to choose for; - reads it from stdin.")
    ],
    memory: o.MemoryOption,
    picks: o.PicksOption = 10,
    selector: o.SelectorOption = "sift",
    noise: o.NoiseOption = 0.1,
    candidates: Annotated[
        int, typer.Option("--candidates", metavar="K", help="Choose among this many of the nearest examples.")
    ] = 200,
    whole: Annotated[
        bool, typer.Option("--whole", help="Choose from all examples instead (sift, no limit but --near-copy).")
    ] = False,
    near_copy: Annotated[
        float,
        typer.Option(
            "--near-copy",
            metavar="COSINE",
            help="Leave out what is this close to the query; 1 leaves out nothing.",
            rich_help_panel=_LIMITS,
        ),
    ] = 0.98,
    per_source: Annotated[
        int | None,
        typer.Option("--per-source", metavar="N", help="The most picks from one source.", rich_help_panel=_LIMITS),
    ] = None,
    source: Annotated[
        str,
        typer.Option("--source", metavar="FIELD", help="The field of the meta that names it.", rich_help_panel=_LIMITS),
    ] = "path",
    max_chars: Annotated[
        int | None,
        typer.Option(
            "--max-chars",
            metavar="N",
            help="The most characters of all picks; short ones that tell as much are then preferred.",
            rich_help_panel=_LIMITS,
        ),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a page with pictures of the choice as well.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON, with full ids.")] = False,
) -> None:
    """Choose the examples that tell most about TEXT, and say why these; nothing is trained."""
    from whet.cli.select_show import print_selection, selection_json
    from whet.evaluation.selection import Limits
    from whet.evaluation.selection import select as choose
    from whet.evaluation.selection_report import selection_report
    from whet.memory import Memory

    if query == "-":
        query = sys.stdin.read().removesuffix("\n")  # the line end is the shell's
    limits = Limits(near_copy=near_copy, per_source=per_source, source=source, characters=max_chars)
    with Memory.open(memory) as opened, working("choosing"):
        selection = choose(
            opened,
            query,
            selector=selector,
            noise=noise,
            picks=picks,
            candidates=candidates,
            limits=limits,
            whole=whole,
        )
    if html is not None:
        selection_report(html, selection)
    if as_json:
        typer.echo(selection_json(selection))
    else:
        print_selection(selection)
        if html is not None:
            typer.echo(f"page: {html}")
