"""How many tasks runs of `whet arc solve` solve: a table with intervals, from the folders that they left.

    whet arc solve $(python benchmarks/arc_table.py hundred arc1-evaluation) --set arc1-evaluation --out runs/hundred
    python benchmarks/arc_table.py table arc1-evaluation runs/evaluation runs/hundred --json results.json
    python benchmarks/arc_table.py table arc1-evaluation runs/evaluation --hundred

`hundred` prints the ids of a hundred tasks of a set, always the same, in an order of chance: so the first of them are a
fair sample too. `table` counts a run over the tasks that it has; with `--hundred` over those alone. The judge alone
opens the answers.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterable
from pathlib import Path
from statistics import mean
from typing import Any

from whet.tasks.arc import TaskResult, as_grid, attempts, load_set, read_results, score, wilson


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    ids = commands.add_parser("hundred")
    ids.add_argument("set", help="a set, or a folder of tasks")
    ids.add_argument("--first", type=int, default=100, help="only so many of them")
    ids.set_defaults(run=lambda args: print(*hundred(load_set(args.set).ids)[: args.first]))
    table = commands.add_parser("table")
    table.add_argument("set", help="a set, or a folder of tasks")
    table.add_argument("runs", nargs="+", type=Path, help="folders that `whet arc solve --out` wrote")
    table.add_argument("--hundred", action="store_true", help="only the hundred tasks that `hundred` names")
    table.add_argument("--json", type=Path, help="written with the tasks that are solved")
    table.set_defaults(run=tables)
    args = parser.parse_args()
    args.run(args)


def hundred(ids: Iterable[str]) -> list[str]:
    """A hundred tasks, drawn once for all, in the order in which they were drawn."""
    return random.Random(0).sample(sorted(ids), 100)


def tables(args: argparse.Namespace) -> None:
    wanted = set(hundred(load_set(args.set).ids)) if args.hundred else None
    rows = [row(args.set, run, wanted) for run in args.runs]
    print("| asked | tasks | solved | % | seconds a task |\n|---|---|---|---|---|")
    for one in rows:
        low, high = one["interval"]
        share = f"{100 * len(one['solved']) / one['tasks']:.1f} ({100 * low:.1f} to {100 * high:.1f})"
        print(f"| {one['asked']} | {one['tasks']} | {len(one['solved'])} | {share} | {one['seconds']} |")
    for one in rows:
        for way, alone in one["alone"].items():
            print(
                f"{one['asked']}: the best two by {way} are right in {len(alone['solved'])} of {alone['tasks']} tasks"
            )
    if args.json is not None:
        args.json.write_text(json.dumps({"set": args.set, "runs": rows}, indent=1) + "\n", encoding="utf-8")


def row(source: str, run: Path, wanted: set[str] | None) -> dict[str, Any]:
    """What a run solves, of the tasks that it has and that are wanted."""
    results = {i: r for i, r in read_results(run / "results.jsonl").items() if wanted is None or i in wanted}
    solved = _solved(source, results)
    taken = [one.info["seconds"] for one in results.values() if "seconds" in one.info]
    return {
        "asked": _asked(results.values()),
        "tasks": len(results),
        "lost": len(results) - len(taken),
        "solved": solved,
        "interval": wilson(len(solved), len(results)),
        "seconds": round(mean(taken), 1),
        "alone": {way: _alone(source, results, way == "net") for way in ("programs", "net")},
    }


def _alone(source: str, results: dict[str, TaskResult], net: bool) -> dict[str, Any]:
    """What the best candidates of one way would have solved, and how many tasks have some. The net's have views."""
    found = {}
    for i, one in results.items():
        best = [c["outputs"] for c in one.info.get("candidates", []) if bool(c["views"]) == net][:2]
        if best:
            tried = tuple(attempts(*map(as_grid, grids)) for grids in zip(*best, strict=True))
            found[i] = TaskResult(i, tried)
    return {"tasks": len(found), "solved": _solved(source, found) if found else []}


def _solved(source: str, results: dict[str, TaskResult]) -> list[str]:
    told = score({i: one.attempts for i, one in results.items()}, source).tasks
    return [one.id for one in told if one.id in results and one.solved]


def _asked(results: Iterable[TaskResult]) -> str:
    """The way of asking, which a folder keeps to; a task that took its process down does not tell."""
    return next(one.info["asked"] for one in results if "asked" in one.info)


if __name__ == "__main__":
    main()
