"""The commands of `whet` put together."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from whet.cli.arc import arc_app
from whet.cli.arc_pretrain import pretrain
from whet.cli.arc_solve import report, solve
from whet.cli.ask import ask
from whet.cli.demo import demo
from whet.cli.errors import ReportingGroup
from whet.cli.eval import eval_app
from whet.cli.forget import forget
from whet.cli.index import index
from whet.cli.run import run
from whet.cli.select import select
from whet.cli.tune import tune

app = typer.Typer(
    name="whet",
    cls=ReportingGroup,
    help="Sharpen a language model on the question in front of it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(index)
app.command()(select)
app.command()(ask)
app.command()(run)
app.add_typer(eval_app, name="eval")
arc_app.command()(solve)
arc_app.command()(report)
arc_app.command()(pretrain)
app.add_typer(arc_app, name="arc")
app.command()(tune)
app.command()(forget)
app.command()(demo)


def _print_version(wanted: bool) -> None:
    if wanted:
        import whet

        typer.echo(f"whet {whet.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Show where in the code an error came from.")
    ] = False,  # read by ReportingGroup
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; exit code 0, 1 after an error, 2 after wrong usage, 130 after Ctrl-C."""
    # The bars of the libraries below would run through the lines of ours; 0 brings them back.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    app(prog_name="whet")
