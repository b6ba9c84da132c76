"""What the command line says when something goes wrong."""

from __future__ import annotations

import sys
from typing import Any

import typer
from typer.core import TyperGroup

from whet.cli.text import printable
from whet.errors import WhetError


class ReportingGroup(TyperGroup):
    """Prints whet's errors as one line on stderr and ends with exit code 1; with `--traceback`, raises them."""

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # typer makes no other contexts
        """Run the command that was asked for."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()  # a pipe that was closed shows here, where typer ends quietly
        except WhetError as error:
            if ctx.params["traceback"]:
                raise
            typer.echo(f"error: {message(error)}", err=True)
            raise typer.Exit(1) from error
        except KeyboardInterrupt as error:
            raise interrupted("interrupted") from error
        return result


def interrupted(text: str) -> typer.Exit:
    """Say what an interruption left behind; returns what to raise: the exit with code 130."""
    typer.echo(f"\n{text}", err=True)
    return typer.Exit(130)


def message(error: WhetError) -> str:
    """The message of an error and its notes, on one line."""
    lines = [*str(error).splitlines(), *getattr(error, "__notes__", [])]
    return printable(" ".join(line.strip() for line in lines if line.strip()))
