"""How well the query is known after the picks of each criterion, and how near greedy choice comes to the best.

    python benchmarks/selection_quality.py --json benchmarks/results/selection_quality.json

- `criteria`: the query's posterior variance after N of K = 200 picks, for every criterion of the registry that needs no
  predictions; mean over the seeds and half the width of its 95 % interval (Student's t).
- `optimum`: what the N of K = 12 picks of each criterion take off the query's variance, as a share of what the best N
  take off, found among all of them.

Candidates and queries are unit vectors. `clustered`: eight loose clusters, two of which the query lies between.
`near-duplicates`: each candidate is one of 40 originals, slightly changed; the query lies between three of these.
Variances are computed from the picks by one function in float64, as shares of the prior variance.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from itertools import combinations, combinations_with_replacement, product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from whet.errors import InputError
from whet.selection import SELECTORS

Vectors = NDArray[np.float64]
PICKS = (5, 10, 25, 50)
TINY, FEW = 12, 4
"""Candidates and picks of the search for the best."""
SETTINGS = list(product(("clustered", "near-duplicates"), (4, 16), (0.01, 0.03, 0.1, 0.3, 1.0), range(5)))
"""Kind, dimensions, noise and seed of the search for the best: 100."""


WAYS: dict[bool, Callable[..., Any]] = {True: combinations_with_replacement, False: combinations}
AGAIN = ("sift", "repeat")
"""Criteria that may pick a candidate again."""


def problem(kind: str, rows: int, dimensions: int, seed: int) -> tuple[Vectors, Vectors]:
    """Candidates `(rows, dimensions)` and a query `(dimensions,)`."""
    rng = np.random.default_rng([seed, dimensions])
    centres = unit(rng.standard_normal((8 if kind == "clustered" else max(rows // 5, 3), dimensions)))
    near, spread = (2, 0.7) if kind == "clustered" else (3, 0.05)
    changes = spread * unit(rng.standard_normal((rows, dimensions)))
    query = rng.uniform(0.5, 1, near) @ centres[:near] + 0.3 * unit(rng.standard_normal(dimensions))
    return unit(centres[rng.integers(len(centres), size=rows)] + changes), unit(query)


def unit(vectors: Vectors) -> Vectors:
    """Divided by their lengths."""
    lengths: Vectors = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / lengths


def variance_left(
    candidates: NDArray[Any], query: NDArray[Any], picks: Sequence[int] | NDArray[np.int64], noise: float
) -> float:
    """Share of the query's prior variance that is left after the picks, by a fit to them in float64."""
    return float(variances_left(candidates, query, np.array([picks]), noise)[0])


def variances_left(candidates: NDArray[Any], query: NDArray[Any], sets: NDArray[np.int64], noise: float) -> Vectors:
    """The same for many sets of picks at once, `(sets, n)`."""
    seen, target = candidates[sets].astype(np.float64), query.astype(np.float64)
    across = seen @ target
    weights = np.linalg.solve(seen @ seen.mT + noise * np.eye(sets.shape[1]), across[..., None])[..., 0]
    left: Vectors = 1 - (across * weights).sum(axis=1) / (target @ target)
    return left


def criteria(kind: str, options: argparse.Namespace) -> dict[str, Any]:
    """For each criterion the mean and half the 95 % interval at each number of picks, or why there is none."""
    factor = float(student.ppf(0.975, options.seeds - 1)) / options.seeds**0.5
    report: dict[str, Any] = {}
    for name, selector in SELECTORS.items():
        values = np.empty((options.seeds, len(PICKS)))
        try:
            for seed, (place, n) in product(range(options.seeds), enumerate(PICKS)):
                candidates, query = problem(kind, options.candidates, options.dimensions, seed)
                picks = selector(noise=options.noise).choose(candidates, query, n).indices
                values[seed, place] = variance_left(candidates, query, picks, options.noise)
        except InputError as error:
            report[name] = {"skipped": str(error)}
            continue
        half = factor * values.std(axis=0, ddof=1)
        report[name] = {"mean": values.mean(axis=0).tolist(), "half_ci95": half.tolist()}
    return report


def optimum() -> dict[str, Any]:
    """For each criterion what its picks take off the variance, as a share of what the best choice takes, per setting.

    `sift` may pick again and is held against all choices that may; the others against those that take each once.
    """
    every = {again: np.array(list(ways(range(TINY), FEW))) for again, ways in WAYS.items()}
    shares: dict[str, list[float]] = {name: [] for name in SELECTORS}
    for kind, dimensions, noise, seed in SETTINGS:
        candidates, query = problem(kind, TINY, dimensions, seed)
        best = {again: 1 - variances_left(candidates, query, sets, noise).min() for again, sets in every.items()}
        for name, selector in SELECTORS.items():
            try:
                picks = selector(noise=noise).choose(candidates, query, FEW).indices
            except InputError:
                continue  # judges by predictions
            shares[name].append((1 - variance_left(candidates, query, picks, noise)) / best[name in AGAIN])
    return {
        name: {
            "mean": float(np.mean(found)),
            "worst": float(min(found)),
            "optimal": int(np.sum(np.array(found) > 1 - 1e-9)),
            "settings": len(found),
        }
        for name, found in shares.items()
        if found
    }


def table(report: dict[str, Any]) -> str:
    """The report as lines of text."""
    lines = []
    for kind, entries in report["criteria"].items():
        lines += [f"variance left, {kind}", f"{'criterion':<16}" + "".join(f"{f'N = {n}':>20}" for n in PICKS)]
        shown = {name: entry for name, entry in entries.items() if "mean" in entry}
        for name, entry in sorted(shown.items(), key=lambda item: item[1]["mean"][-1]):
            cells = [f"{m:.4f} ± {h:.4f}" for m, h in zip(entry["mean"], entry["half_ci95"], strict=True)]
            lines.append(f"{name:<16}" + "".join(f"{cell:>20}" for cell in cells))
        lines += [
            f"{name:<16} skipped: {entry['skipped']}"[:120] for name, entry in entries.items() if name not in shown
        ]
        lines.append("")
    lines.append(f"{'share of optimum':<16}" + "".join(f"{head:>20}" for head in ("mean", "worst", "the best")))
    for name, entry in sorted(report["optimum"].items(), key=lambda item: -item[1]["mean"]):
        cells = f"{entry['mean']:.4f}", f"{entry['worst']:.4f}", f"{entry['optimal']} of {entry['settings']}"
        lines.append(f"{name:<16}" + "".join(f"{cell:>20}" for cell in cells))
    return "\n".join(lines)


def main() -> None:
    """Measure, print the table, and write the JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=int, default=200)
    parser.add_argument("--dimensions", type=int, default=64)
    parser.add_argument("--noise", type=float, default=0.01)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--json", type=Path, help="where to write the report")
    options = parser.parse_args()
    report = {
        "criteria": {kind: criteria(kind, options) for kind in ("clustered", "near-duplicates")},
        "optimum": optimum(),
        "config": {name: value for name, value in vars(options).items() if name != "json"} | {"picks": PICKS},
    }
    print(table(report))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
