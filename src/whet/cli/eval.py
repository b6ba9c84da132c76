"""`whet eval language`: how much the loop helps on held-out text."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from whet.cli.options import ConfigOption, MemoryOption, ModelOption, SeedOption, WhereOption, conditions, read_config
from whet.cli.progress import counting

if TYPE_CHECKING:
    from whet.evaluation import Row

eval_app = typer.Typer(help="Measure the loop on held-out data.", no_args_is_help=True)


@eval_app.callback()
def _group() -> None:
    """Keeps `language` a command of its own while it is the only one."""


@eval_app.command()
def language(
    memory: MemoryOption,
    queries: Annotated[
        list[Path],
        typer.Option("--queries", exists=True, metavar="FILE...", help="Held-out text: .jsonl[.gz], .parquet, text."),
    ],
    more: Annotated[list[Path], typer.Argument(exists=True, metavar="[FILE...]", help="More files of queries.")] = [],  # noqa: B006
    where: WhereOption = [],  # noqa: B006  # typer makes a new list
    methods: Annotated[
        str, typer.Option("--methods", metavar="LIST", help="Of base, context, random, nearest, repeat, sift.")
    ] = "base,context,random,nearest,sift",
    picks: Annotated[str, typer.Option("--picks", metavar="LIST", help="Numbers of picks to score at.")] = "50",
    noise: Annotated[str, typer.Option("--noise", metavar="LIST", help="Values of λ for sift.")] = "0.1",
    modes: Annotated[
        str, typer.Option("--modes", metavar="LIST", help="whole: search with and score all; halves: 1st, then 2nd.")
    ] = "whole,halves",
    limit: Annotated[int, typer.Option("--limit", min=1, help="The most queries of each domain.")] = 25,
    max_chars: Annotated[int, typer.Option("--max-chars", min=2, help="Where a query is cut.")] = 1600,
    candidates: Annotated[int, typer.Option("--candidates", help="How many the memory proposes.")] = 200,
    lr: Annotated[float | None, typer.Option("--lr", help="Learning rate of Adam.")] = None,
    rank: Annotated[int | None, typer.Option("--rank", help="Rank of the adapter.")] = None,
    model: ModelOption = "whet-base",
    config: ConfigOption = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes, of one thread each.")] = os.cpu_count()
    or 1,
    seed: SeedOption = 0,
    json: Annotated[
        Path, typer.Option("--json", metavar="OUT", help="Where the rows go; the report beside it.")
    ] = Path("whet-eval.json"),
) -> None:
    """Bits per byte of held-out text: base model, examples in context, and adapters trained on chosen examples.

    Every finished query is on disk at once, in OUT with `.queries.jsonl` for its ending; the same command goes on.
    """
    from whet.evaluation import Job, Settings, choose_texts, language_report, measure_all, save_json, summarise
    from whet.memory import Memory, read_files

    settings = Settings(
        methods=_words(methods),
        picks=tuple(int(_number(word, "--picks")) for word in _words(picks)),
        noise=tuple(_number(word, "--noise") for word in _words(noise)),
        modes=_words(modes),
        seed=seed,
    )
    base = read_config(config)
    engine = replace(
        base,
        candidates=candidates,
        reuse=None,
        warm=None,
        lora=base.lora if rank is None else replace(base.lora, r=rank),
        train=base.train if lr is None else replace(base.train, lr=lr),
    )
    Memory.open(memory).close()  # a wrong name is said before the queries are read
    texts = choose_texts(read_files(*queries, *more, where=conditions(where)), limit=limit, max_chars=max_chars)
    job = Job(model=model, memory=str(memory), config=engine, settings=settings)
    with counting("measuring", "queries", len(texts)) as progress:
        records = measure_all(job, texts, log=json.with_suffix(".queries.jsonl"), workers=workers, progress=progress)
    rows = summarise(records)
    described = {**job.description(), "where": conditions(where), "limit": limit, "max_chars": max_chars}
    save_json(rows, described, json)
    _show(rows, settings.modes)
    typer.echo(f"rows:   {json}")
    typer.echo(f"report: {language_report(rows, described, json.with_suffix('.html'))}")


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _number(word: str, option: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise typer.BadParameter(f"{word!r} is no number.", param_hint=option) from None


def _show(rows: list[Row], modes: tuple[str, ...]) -> None:
    from rich.console import Console
    from rich.table import Table

    for mode in modes:
        table = Table(title=f"{mode}: all domains", title_justify="left", box=None, pad_edge=False)
        for name in ("method", "picks", "bits/byte", "% of base", "95 % interval", "queries", "s/query"):
            table.add_column(name, justify="left" if name == "method" else "right")
        for row in rows:
            if row.domain == "all" and row.mode == mode:
                interval = f"{row.ci95[0]:.1f} to {row.ci95[1]:.1f}" if row.ci95 else "one query"
                table.add_row(
                    row.method,
                    str(row.picks),
                    f"{row.bits_per_byte:.3f}",
                    f"{row.percent_of_base:.1f}",
                    interval,
                    str(row.queries),
                    f"{sum(row.seconds_per_query.values()):.2f}",
                )
        Console(highlight=False).print(table, "")
