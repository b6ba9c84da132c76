"""`whet arc solve` and `whet arc report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from whet.cli.arc import FolderOption, JsonOption, SetOption, source_of
from whet.cli.progress import counting, working

if TYPE_CHECKING:
    from collections.abc import Sequence

    from whet.tasks.arc import ArcSet, ArcTask
    from whet.tasks.arc.ways import Settings

_RESULTS, _SUBMISSION, _REPORT = "results.jsonl", "submission.json", "report.html"
OutOption = Annotated[
    Path, typer.Option("--out", metavar="FOLDER", help="Where results, submission and report go; a run goes on there.")
]


def solve(
    tasks: Annotated[list[str] | None, typer.Argument(metavar="[TASK]...", help="Ids of tasks; all if none.")] = None,
    set_name: SetOption = None,
    folder: FolderOption = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many tasks.")] = None,
    seconds: Annotated[float, typer.Option("--seconds-per-task", min=0.0, help="Wall-clock time a task.")] = 60.0,
    processes: Annotated[int, typer.Option(min=1, help="Tasks at a time.")] = 1,
    ways: Annotated[
        list[str] | None,
        typer.Option(
            "--way", help="induction, transduction, synthesis or language; several are tried in the order given."
        ),
    ] = None,
    net: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, metavar="NET", help="The net for transduction, instead of whet's."),
    ] = None,
    server: Annotated[
        str | None, typer.Option(metavar="URL", help="An OpenAI-compatible server whose model writes programs.")
    ] = None,
    server_model: Annotated[str | None, typer.Option(metavar="NAME", help="The model's name there.")] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="A causal LM, by folder or Hugging Face name, that practises on each task."),
    ] = None,
    out: OutOption = Path("whet-arc"),
    as_json: JsonOption = False,
) -> None:
    """Solve tasks: by programs that explain all demonstrations, and where none is sure by a net that practises on them.

    Each way ends when its time is over or it is sure. The two likeliest answers are the attempts.
    """
    from whet.cli.arc_show import print_problems, print_results, results_json
    from whet.scaling.arc import solve_all
    from whet.tasks.arc import write_submission

    settings = _settings(ways or [], net, server, server_model, model)
    found = _read(source_of(set_name, folder))
    wanted = _wanted(found, tasks or [], limit)
    _tell_leak(settings, wanted)
    with counting("solving", "tasks", total=len(wanted)) as told:
        results = solve_all(
            wanted,
            out / _RESULTS,
            seconds=seconds,
            processes=processes,
            settings=settings,
            progress=lambda _, done: told(done),
        )
    write_submission(out / _SUBMISSION, {task: result.attempts for task, result in results.items()})
    if as_json:
        typer.echo(results_json(results))
        return
    print_results(wanted, results)
    print_problems(found.problems)
    given = f"--folder {folder}" if folder is not None else f"--set {set_name}"
    typer.echo(f"attempts: {out / _SUBMISSION}")
    typer.echo(f"next: whet arc report {given} --out {out}")


def report(
    set_name: SetOption = None,
    folder: FolderOption = None,
    out: OutOption = Path("whet-arc"),
    blind: Annotated[bool, typer.Option("--blind", help="Do not score: the answers stay closed.")] = False,
) -> None:
    """Draw what `whet arc solve` did as a page, with the score."""
    from whet.errors import InputError
    from whet.evaluation.arc import write_arc_report
    from whet.tasks.arc import read_results
    from whet.tasks.arc import score as score_submission

    source = source_of(set_name, folder)
    found = _read(source)
    results = read_results(out / _RESULTS)
    if not results:
        raise InputError(f"there are no results in {str(out)!r}; run whet arc solve with --out {out} first.")
    with working("drawing"):
        score = None if blind else score_submission({task: one.attempts for task, one in results.items()}, source)
        write_arc_report(out / _REPORT, found.tasks, results, score)
    typer.echo(f"report: {out / _REPORT}")


def _read(source: str) -> ArcSet:
    from whet.tasks.arc import load_set

    with working("reading"):
        return load_set(source)


def _wanted(found: ArcSet, ids: Sequence[str], limit: int | None) -> list[ArcTask]:
    chosen = [found[task] for task in ids] if ids else list(found)
    return chosen[:limit]


def _settings(
    ways: Sequence[str], net: Path | None, server: str | None, server_model: str | None, model: str | None
) -> Settings:
    from whet.tasks.arc.ways import ARC_NET, WAYS, Settings

    if (server is None) != (server_model is None):
        raise typer.BadParameter("give both or none.", param_hint="--server and --server-model")
    unknown = [way for way in ways if way not in WAYS]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]!r} is none of {', '.join(WAYS)}.", param_hint="--way")
    if "synthesis" in ways and server is None:
        raise typer.BadParameter("synthesis needs a server that writes programs.", param_hint="--server")
    if "language" in ways and model is None:
        raise typer.BadParameter("language needs a causal language model.", param_hint="--model")
    named = (("synthesis", server), ("language", model))
    tried = tuple(dict.fromkeys(ways)) or ("induction", "transduction", *(way for way, by in named if by is not None))
    chosen = None
    if model is not None and "language" in tried:
        from whet.tasks.arc.language import choose

        with working(f"loading {model}"):
            chosen = choose(model)
    return Settings(
        ways=tried,
        net=net or ARC_NET,
        server=(server, server_model) if server is not None and server_model is not None else None,
        model=chosen,
    )


def _tell_leak(settings: Settings, tasks: Sequence[ArcTask]) -> None:
    """Say on stderr that the net has seen tasks that it is asked about."""
    if "transduction" not in settings.ways:
        return
    from whet.tasks.arc import overlap
    from whet.tasks.arc.net_file import trained_on

    seen = overlap(trained_on(settings.net), {task.id for task in tasks})
    if seen:
        typer.echo(
            f"the net was trained on {len(seen):,} of these tasks: a score would say little; "
            "--way induction leaves it out",
            err=True,
        )
