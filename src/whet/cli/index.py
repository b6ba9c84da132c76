"""`whet index`: put files into a memory."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from whet.cli.errors import interrupted
from whet.cli.options import MemoryOption, WhereOption, conditions
from whet.cli.progress import counting
from whet.cli.text import printable

if TYPE_CHECKING:
    from whet.memory import Added

_REASONS = 10
"""How many of the things that were left out are named."""


def index(
    paths: Annotated[
        list[Path],
        typer.Argument(exists=True, metavar="PATH", help="Files and folders of text and code, .jsonl[.gz], .parquet."),
    ],
    memory: MemoryOption,
    where: WhereOption = [],  # noqa: B006  # typer makes a new list
    on_error: Annotated[
        Literal["raise", "skip"], typer.Option("--on-error", help="What to do with a record that cannot be read.")
    ] = "raise",
    embedder: Annotated[
        str, typer.Option("--embedder", metavar="NAME", help="minilm, or a sentence-transformers name or folder.")
    ] = "minilm",
) -> None:
    """Put files into a memory, which is made if it does not exist. Interrupted, the same command goes on."""
    from whet.memory import Memory

    wanted = conditions(where)
    began = time.perf_counter()
    with Memory.create(memory, embedder=embedder) as opened:
        try:
            with counting("indexing", "examples") as progress:
                added = opened.add_files(*paths, where=wanted, on_error=on_error, progress=progress)
        except KeyboardInterrupt as error:
            raise interrupted(
                f"interrupted: {len(opened):,} examples are stored in {memory}; the same command goes on from there"
            ) from error
        _show(added, len(opened), time.perf_counter() - began, memory)


def _show(added: Added, total: int, seconds: float, memory: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("new", "duplicates", "empty", "skipped", "in all", "seconds", box=None, pad_edge=False)
    counts = (added.new, added.duplicates, added.empty, len(added.skipped), total)
    table.add_row(*(f"{count:,}" for count in counts), f"{seconds:.1f}")
    Console(highlight=False).print(table)
    for reason in added.skipped[:_REASONS]:
        typer.echo(f"skipped {printable(reason)}")
    if len(added.skipped) > _REASONS:
        typer.echo(f"skipped {len(added.skipped) - _REASONS:,} more")
    if total:
        typer.echo(f'\nnext: whet ask "def area(" --memory {shlex.quote(str(memory))}')
