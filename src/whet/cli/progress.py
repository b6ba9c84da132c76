"""What is shown on stderr while a command works; nothing when stderr is no terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def working(text: str) -> Iterator[None]:
    """A spinner beside `text`."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(Text(text)):
        yield


@contextmanager
def counting(text: str, unit: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """A bar, or a spinner if no total is known, with a count; gives what is to be told how many are done so far."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    console = Console(stderr=True)
    known = total is not None
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24) if known else SpinnerColumn(),
        TextColumn("{task.completed:,} of {task.total:,} " + unit if known else "{task.completed:,} " + unit),
        TimeElapsedColumn(),
        *((TextColumn("left"), TimeRemainingColumn()) if known else ()),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(text, total=total)
        yield lambda done: progress.update(task, completed=done)
