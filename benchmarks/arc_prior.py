"""Learns `src/whet/programs/prior.json`: what features of demonstrations say about the primitives of a solution.

    python benchmarks/arc_prior.py --out src/whet/programs/prior.json

No task is solved for this. Programs are enumerated on the inputs of training tasks of ARC-AGI-1; what a program makes
of three inputs is a made-up task whose solution is known. For each primitive a logistic regression says from the
features of a made-up task whether its program uses it. The tasks are 60 of half 0 (see `arc_induction.py`), beside the
60 that choices were measured on.

The idea of learning from programs drawn from the language itself: Ellis et al. 2021, DreamCoder, arXiv 2006.08381.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from arc_induction import tasks
from sklearn.linear_model import LogisticRegression

from whet.programs.expressions import Expression
from whet.programs.images import Grid, Image
from whet.programs.limits import Meter
from whet.programs.prior import FEATURES, features
from whet.programs.registry import PRIMITIVES
from whet.programs.rounds import shared_colours
from whet.programs.search import enumerate_states

PAIRS = 3
PROGRAMS = 1500
DRAWN = 100
STRENGTH = 0.3
FEWEST = 5


def dreams(train: list[tuple[Grid, Grid]], seed: tuple[int, ...]) -> Iterator[tuple[np.ndarray, set[str]]]:
    """Features of what some programs make of the inputs, and the primitives that they use."""
    inputs, outputs = [a for a, _ in train][:PAIRS], [b for _, b in train][:PAIRS]
    stream = enumerate_states(inputs, shared_colours(inputs, outputs), Meter(600.0))
    made = [state for state in islice(stream, PROGRAMS) if isinstance(state.values[0], Image) and state.cost]
    for place in np.random.default_rng(seed).permutation(len(made))[:DRAWN]:
        pairs = [(grid, image.cells) for grid, image in zip(inputs, made[place].values, strict=True)]
        same = all(np.array_equal(before, after) for before, after in pairs)
        plain = any(after.size > 1 and np.all(after == after.flat[0]) for _, after in pairs)
        large = any(max(after.shape) > 30 for _, after in pairs)
        if not (same or plain or large):
            yield features(pairs), names(made[place].expression)


def names(expression: Expression) -> set[str]:
    """The primitives of a program."""
    return ({expression.name} & PRIMITIVES.keys()).union(*map(names, expression.arguments))


def main() -> None:
    """Draws, learns and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    chosen = tasks("training", 0, None)
    random.Random(0).shuffle(chosen)
    rows = []
    for number, task in enumerate(chosen[60:120]):
        train = [(np.array(a, np.uint8), np.array(b, np.uint8)) for a, b in task["train"]]
        rows += list(dreams(train, (1, number)))
    arguments.out.write_text(json.dumps(learnt(rows)) + "\n", encoding="utf-8")


def learnt(rows: list[tuple[np.ndarray, set[str]]]) -> dict[str, object]:
    """What `whet.programs.prior` reads: how often each feature holds, and weights of primitives used often enough."""
    table = np.array([holds for holds, _ in rows], float)
    weights = {}
    for name in PRIMITIVES:
        used = np.array([name in primitives for _, primitives in rows])
        if used.sum() >= FEWEST:
            model = LogisticRegression(C=STRENGTH, max_iter=300).fit(table, used)
            weights[name] = model.coef_[0].round(2).tolist()
    return {"features": dict(zip(FEATURES, table.mean(axis=0).round(3).tolist(), strict=True)), "weights": weights}


if __name__ == "__main__":
    main()
