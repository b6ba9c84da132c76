"""SIFT as whet does it against activeft 0.1.1, on the same data in the same run: processor time, wall time, picks.

    python benchmarks/selection_vs_activeft.py --size 200,384 --size 1000,1024 --json out.json

Three contestants, each on one thread, for one query against K candidates (random unit vectors shifted towards it):

- `whet`: `Sift(noise).choose`, checks of its input included.
- `activeft`: its `Retriever` as it is meant to be used, which searches a flat faiss index of the K candidates first and
  forks a worker process for each query. Processor time is that of both processes.
- `activeft core`: only its greedy loop (`VTL.select_from_minibatch`), without search and worker.

All take turns; the medians over the rounds are reported, with the range of the ratios of a round. activeft tries to
import wandb at every pick; `--stub-wandb` spares it the search for a package that is not installed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Picks = list[int]
    Contestants = dict[str, Callable[[], Picks]]

OURS = "whet"


def data(rows: int, dimensions: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Candidates `(rows, dimensions)` in a cap around the query `(dimensions,)`; unit vectors in float32."""
    import numpy as np

    rng = np.random.default_rng(seed)
    query = rng.standard_normal(dimensions)
    query /= np.linalg.norm(query)
    candidates = rng.standard_normal((rows, dimensions))
    candidates /= np.linalg.norm(candidates, axis=1, keepdims=True)
    candidates += 0.8 * query
    candidates /= np.linalg.norm(candidates, axis=1, keepdims=True)
    return candidates.astype(np.float32), query.astype(np.float32)


def contestants(candidates: np.ndarray, query: np.ndarray, picks: int, noise: float) -> Contestants:
    """What is measured, by name: each returns its picks as rows of the candidates."""
    import faiss
    import numpy as np
    import torch
    from activeft.acquisition_functions.vtl import VTL
    from activeft.sift import Retriever

    from whet.selection import Sift

    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    index = faiss.IndexFlatIP(candidates.shape[1])
    index.add(candidates)
    retriever = Retriever(index, llambda=noise)
    core = VTL(target=torch.tensor(query[None]), noise_std=float(np.sqrt(noise)))
    rows = torch.tensor(candidates)

    def activeft() -> Picks:
        _, indices, _, _ = retriever.search(query[None], N=picks, K=len(candidates), threads=1)
        return [int(i) for i in indices]

    def activeft_core() -> Picks:
        indices, _ = core.select_from_minibatch(picks, None, rows, torch.device("cpu"))
        return [int(i) for i in indices]

    def whet() -> Picks:
        chosen: Picks = Sift(noise).choose(candidates, query, picks).indices.tolist()
        return chosen

    return {OURS: whet, "activeft": activeft, "activeft core": activeft_core}


def processor_seconds() -> float:
    """User and system time of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def timed(task: Callable[[], Picks], repeats: int) -> tuple[float, float]:
    """Processor and wall milliseconds of one call, as the mean of `repeats` calls."""
    cpu, wall = processor_seconds(), time.perf_counter()
    for _ in range(repeats):
        task()
    return (processor_seconds() - cpu) / repeats * 1e3, (time.perf_counter() - wall) / repeats * 1e3


def measure(rows: int, dimensions: int, picks: int, noise: float, rounds: int, seed: int) -> dict[str, Any]:
    """All contestants on one size; a row of the report."""
    tasks = contestants(*data(rows, dimensions, seed), picks, noise)
    chosen = {name: task() for name, task in tasks.items()}
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            samples[name].append(timed(task, repeats=20 if name == OURS else 1))
    cpu = {name: [sample[0] for sample in taken] for name, taken in samples.items()}
    ratios = {name: [a / b for a, b in zip(taken, cpu[OURS], strict=True)] for name, taken in cpu.items()}
    return {
        "candidates": rows,
        "dimensions": dimensions,
        "picks": picks,
        "noise": noise,
        "distinct_picks": len(set(chosen[OURS])),
        "same_picks": {name: sum(a == b for a, b in zip(chosen[OURS], chosen[name], strict=True)) for name in tasks},
        "cpu_ms": {name: statistics.median(taken) for name, taken in cpu.items()},
        "wall_ms": {name: statistics.median(sample[1] for sample in taken) for name, taken in samples.items()},
        "cpu_ratio": {name: statistics.median(taken) for name, taken in ratios.items()},
        "cpu_ratio_range": {name: [min(taken), max(taken)] for name, taken in ratios.items()},
    }


def table(rows: list[dict[str, Any]]) -> str:
    """The report as lines of text."""
    heads = f"{'K':>5} {'d':>5} {'N':>4}  {'contestant':<14} {'CPU ms':>9} {'wall ms':>9} {'CPU ratio':>20}  same picks"
    lines = [heads]
    for row in rows:
        for name, cpu in row["cpu_ms"].items():
            low, high = row["cpu_ratio_range"][name]
            ratio = f"{row['cpu_ratio'][name]:.0f}× ({low:.0f} to {high:.0f})" if name != OURS else "1×"
            lines.append(
                f"{row['candidates']:>5} {row['dimensions']:>5} {row['picks']:>4}  {name:<14} {cpu:>9.2f} "
                f"{row['wall_ms'][name]:>9.2f} {ratio:>20}  {row['same_picks'][name]} of {row['picks']}"
            )
    return "\n".join(lines)


def size(text: str) -> tuple[int, int]:
    """`K,d` as two numbers."""
    rows, dimensions = text.split(",")
    return int(rows), int(dimensions)


def main() -> None:
    """Measure, print the table, and write the JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=size, action="append", help="K,d: candidates and dimensions (default 200,384)")
    parser.add_argument("--picks", type=int, default=50)
    parser.add_argument("--noise", type=float, default=0.01)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stub-wandb", action="store_true", help="let activeft find an empty wandb, to its advantage")
    parser.add_argument("--json", type=Path, help="where to write the report")
    options = parser.parse_args()

    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when numpy is first imported
    if options.stub_wandb:
        sys.modules["wandb"] = types.ModuleType("wandb")
        sys.modules["wandb"].run = None  # type: ignore[attr-defined]
    rows = [
        measure(rows, dimensions, options.picks, options.noise, options.rounds, options.seed)
        for rows, dimensions in options.size or [(200, 384)]
    ]
    print(table(rows))
    if options.json:
        config = {
            "rounds": options.rounds,
            "seed": options.seed,
            "stub_wandb": options.stub_wandb,
            "machine": platform.processor() or platform.machine(),
            "python": platform.python_version(),
        }
        options.json.write_text(json.dumps({"rows": rows, "config": config}, indent=1) + "\n")


if __name__ == "__main__":
    main()
