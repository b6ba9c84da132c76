"""The options that commands share, declared once; their defaults are those of `EngineConfig` and `Sampling`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from whet.config import EngineConfig

_LEARNING, _LIMITS, _WRITING = "What is learnt", "What it may cost", "How the answer is written"

MemoryOption = Annotated[
    Path, typer.Option("--memory", "-m", metavar="FOLDER", help="The memory, as made by `whet index`.")
]
WhereOption = Annotated[
    list[str],
    typer.Option(
        "--where",
        metavar="FIELD=VALUE",
        help="Of records, take those with this value in this field; may be given several times.",
    ),
]
ModelOption = Annotated[
    str,
    typer.Option("--model", metavar="NAME", help="The model that ships with whet, a Hugging Face name, or a folder."),
]


def read_config(path: Path | None) -> EngineConfig:
    """The settings in a file, or the defaults without one.

    Raises:
        InputError: the file cannot be read, or what it holds are no settings.
    """
    from whet.config import EngineConfig
    from whet.errors import InputError

    if path is None:
        return EngineConfig()
    try:
        return EngineConfig.from_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the settings {str(path)!r} cannot be read: {error}; check the path.") from error
    except InputError as error:
        error.add_note(f"The settings are read from {str(path)!r}.")
        raise


def _defaults_from(context: typer.Context, path: Path | None) -> Path | None:
    """Options that are not given are as the file has them."""
    if path is not None:
        config = read_config(path)
        names = ("picks", "selector", "noise", "alpha", "candidates", "seed")
        context.default_map = {
            **{name: getattr(config, name) for name in names},
            "fresh": config.reuse is None,
            "no_guard": not config.guard,
        }
    return path


ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE.json",
        exists=True,
        dir_okay=False,
        is_eager=True,
        callback=_defaults_from,
        help="Settings, as `whet tune` writes them; options that are given besides come first.",
        rich_help_panel=_LEARNING,
    ),
]
PicksOption = Annotated[
    int, typer.Option("--picks", help="The most examples to learn from.", rich_help_panel=_LEARNING)
]
SelectorOption = Annotated[
    str,
    typer.Option(
        "--selector",
        metavar="NAME",
        help="How they are chosen: sift, nearest, mmr, dpp, …; docs/selection.md lists them.",
        rich_help_panel=_LEARNING,
    ),
]
NoiseOption = Annotated[
    float,
    typer.Option(
        "--noise", metavar="λ", help="Small for diverse picks, large for near ones.", rich_help_panel=_LEARNING
    ),
]
AlphaOption = Annotated[
    float | None,
    typer.Option("--alpha", metavar="α", help="Pick fewer when they explain little.", rich_help_panel=_LEARNING),
]
FreshOption = Annotated[
    bool,
    typer.Option("--fresh", help="Train anew; reuse and remember no adapter.", rich_help_panel=_LEARNING),
]
NoGuardOption = Annotated[
    bool,
    typer.Option("--no-guard", help="Do not check that what was learnt helps.", rich_help_panel=_LEARNING),
]

SecondsOption = Annotated[
    float | None,
    typer.Option("--seconds", metavar="S", help="Seconds for the whole answer.", rich_help_panel=_LIMITS),
]
StepsOption = Annotated[
    int | None, typer.Option("--steps", metavar="N", help="Gradient steps.", rich_help_panel=_LIMITS)
]

MaxTokensOption = Annotated[
    int, typer.Option("--max-tokens", help="The most tokens to write.", rich_help_panel=_WRITING)
]
TemperatureOption = Annotated[
    float, typer.Option("--temperature", metavar="T", help="0 takes the likeliest token.", rich_help_panel=_WRITING)
]
TopPOption = Annotated[
    float,
    typer.Option(
        "--top-p", metavar="P", help="Draw from the likeliest tokens of this share.", rich_help_panel=_WRITING
    ),
]
StopOption = Annotated[
    list[str],
    typer.Option(
        "--stop", metavar="TEXT", help="End before this text; may be given several times.", rich_help_panel=_WRITING
    ),
]
SeedOption = Annotated[int, typer.Option("--seed", help="Fixes every draw.", rich_help_panel=_WRITING)]


def conditions(where: list[str]) -> dict[str, str]:
    """What `--where` asks for, as field and value.

    Raises:
        typer.BadParameter: one is no `field=value`, or names a field again.
    """
    wanted: dict[str, str] = {}
    for condition in where:
        field, equals, value = condition.partition("=")
        if not (field and equals):
            raise typer.BadParameter(f"{condition!r} is not of the form field=value.", param_hint="--where")
        if field in wanted:
            raise typer.BadParameter(f"the field {field!r} is given twice.", param_hint="--where")
        wanted[field] = value
    return wanted
