"""Fit the probabilities that answers to ARC tasks are right, on training tasks that nothing else was made with.

    whet arc solve --set arc1-training --way induction --out runs/training
    python benchmarks/arc_confidence.py runs/training/results.jsonl --out src/whet/tasks/arc/confidence.json

Programs: the half of the training set on which the language was not written. The net: the forty tasks that pretraining
never saw; each demonstration in turn is asked for, with the others to practise on. Both are logistic regressions; what
they are worth is told from a cross-validation over tasks.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from arc_pretrain import held_out
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict

from whet.models.grid_net import load_grid_net
from whet.programs.limits import Meter
from whet.tasks.arc import ArcTask, as_grid, attempts, load_set, score
from whet.tasks.arc.confidence import program_features, reading_features
from whet.tasks.arc.transduction.practice import Practice
from whet.tasks.arc.transduction.stages import stages
from whet.tasks.arc.transduction.voting import product
from whet.tasks.arc.ways import ARC_NET

SET = "arc1-training"
RANKS = 6
FEWEST = 30
"""Demonstrations that a gain is told from at least."""
Rows = list[tuple[str, list[float], bool]]
"""Task, features, and whether the answer is right."""


def of_programs(path: Path) -> Rows:
    """A row a candidate and test input; the judge is asked about one rank at a time."""
    other_half = {i: r for i, r in _results(path).items() if hashlib.sha256(i.encode()).digest()[0] % 2 == 1}
    rows: Rows = []
    for rank in range(RANKS):
        ranked = {i: r["candidates"][rank] for i, r in other_half.items() if len(r["candidates"]) > rank}
        given = {i: tuple(attempts(as_grid(g), as_grid(g)) for g in one["outputs"]) for i, one in ranked.items()}
        for task in score(given, SET).tasks:
            if task.id in given:
                features = program_features(ranked[task.id]["cost"], rank)
                rows += [(task.id, features, right > 0) for right in task.right]
    return rows


def asked(seconds: float, log: Path) -> dict[str, list[Rows]]:
    """By demonstration, the two answers of each stage of practice."""
    net = load_grid_net(ARC_NET)
    done = {line["asked"]: line["stages"] for line in map(json.loads, log.open())} if log.exists() else {}
    tasks = load_set(SET)
    for task_id in held_out():
        task = tasks[task_id]
        for place, pair in enumerate(task.train):
            name = f"{task_id}:{place}"
            if name in done or len(task.train) < 3:
                continue
            rest = ArcTask(task.id, task.train[:place] + task.train[place + 1 :], (pair.input,))
            done[name] = []
            for stage in stages(net, rest, Practice(), 16, Meter(seconds, time.process_time)):
                (reading,) = stage.readings
                told = [(reading_features(reading, one), one) for one in product(reading)[:2]]
                done[name].append([(task_id, x, bool(np.array_equal(one, pair.output))) for x, one in told])
            with log.open("a") as file:
                print(json.dumps({"asked": name, "stages": done[name]}), file=file, flush=True)
    return done


def gains(stages_of: Sequence[list[Rows]]) -> list[float]:
    """Of the demonstrations that earlier stages answer wrongly, the share that each stage answers rightly."""
    found: list[float] = []
    left = [[any(right for *_, right in rows) for rows in one] for one in stages_of]
    while len(there := [one for one in left if len(one) > len(found)]) >= FEWEST:
        stage = len(found)
        found.append(round(sum(one[stage] for one in there) / len(there), 4))
        left = [one for one in there if not one[stage]]
    return found


def fitted(name: str, rows: Rows) -> list[float]:
    """Bias and weights."""
    groups, x, y = [row[0] for row in rows], np.array([row[1] for row in rows]), np.array([row[2] for row in rows])
    model = LogisticRegression(C=1.0)
    told = cross_val_predict(model, x, y, groups=groups, cv=GroupKFold(5), method="predict_proba")[:, 1]
    model.fit(x, y)
    print(f"{name}: {len(y)} answers to {len(set(groups))} tasks, {y.mean():.1%} right")
    print(f"  Brier {np.mean((told - y) ** 2):.3f}; {np.mean((y.mean() - y) ** 2):.3f} for always the mean")
    for low, high in ((0, 0.05), (0.05, 0.2), (0.2, 0.5), (0.5, 0.8), (0.8, 0.95), (0.95, 1.01)):
        inside = (told >= low) & (told < high)
        if inside.any():
            print(f"  told {low:.2f} to {min(high, 1):.2f}: {inside.sum()}, right {y[inside].mean():.1%}")
    return [round(float(v), 4) for v in (*model.intercept_, *model.coef_[0])]


def _results(path: Path) -> dict[str, Any]:
    lines: Sequence[Any] = [json.loads(line) for line in path.read_text().splitlines()]
    return {line["id"]: line["info"] for line in lines}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=20.0, help="of practice for a demonstration")
    parser.add_argument("--readings", type=Path, default=Path("runs/arc-readings.jsonl"), help="where these go on")
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.readings.parent.mkdir(parents=True, exist_ok=True)
    told = list(asked(args.seconds, args.readings).values())
    weights = {
        "program": fitted("programs", of_programs(args.results)),
        "reading": fitted("readings", [row for stages_of in told for rows in stages_of for row in rows]),
        "gain of transduction": gains(told),
    }
    print("gain of each stage:", weights["gain of transduction"])
    args.out.write_text(json.dumps(weights) + "\n")


if __name__ == "__main__":
    main()
