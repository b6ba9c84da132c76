"""SIFT over a whole memory without nearest neighbours beforehand: time, readings of the memory, and what it gains.

    python benchmarks/selection_whole_memory.py --rows 100000 --rows 1000000 --json out.json
    python benchmarks/selection_whole_memory.py --memory FOLDER

Measured for each query, one after the other on the same matrix:

- `floor`: as many products of the matrix with a vector as there are picks, and nothing else.
- `naive`: exact SIFT that reads the matrix once for each pick; written here, apart from whet, and its picks compared.
- `exact`: `choose_from_all`.
- `approximate`: `choose_from_all(exact=False)`, with the least and the median of its certificate.

Reported besides: the posterior variance of the query that is left by SIFT over all rows, by SIFT over the K nearest
rows, and by the nearest rows as they come.

Without `--memory` the rows are made to resemble embeddings of text: 5000 centres and, around each, members at 0.8 times
the spread of the centres, both normal with the standard deviation 1/√i along axis i, then divided by their lengths. The
queries are rows of the matrix, which are excluded when they are asked.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

CENTRES, SPREAD, CHUNK = 5000, 0.8, 65536
TIMED = ("floor", "naive", "exact", "approximate")


def clustered(rows: int, dimensions: int, seed: int) -> np.ndarray:
    """Unit vectors `(rows, dimensions)` in float32 around centres; no second array of this size is made."""
    import numpy as np

    rng = np.random.default_rng(seed)
    scale = (np.arange(1, dimensions + 1) ** -0.5).astype(np.float32)
    centres = rng.standard_normal((CENTRES, dimensions), dtype=np.float32) * scale
    matrix = np.empty((rows, dimensions), np.float32)
    for start in range(0, rows, CHUNK):
        part = matrix[start : start + CHUNK]
        rng.standard_normal(part.shape, dtype=np.float32, out=part)
        part *= scale * np.float32(SPREAD)
        part += centres[rng.integers(CENTRES, size=len(part))]
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return matrix


def naive(matrix: np.ndarray, query: np.ndarray, n: int, noise: float, excluded: int) -> tuple[list[int], float]:
    """SIFT with one reading of the matrix a pick: the picks, and the variance share that they leave."""
    import numpy as np

    covariance = matrix @ query
    noisy = np.einsum("rd,rd->r", matrix, matrix) + np.float32(noise)
    noisy[excluded] = np.inf
    picks: list[int] = []
    directions = np.empty((0, len(query)))
    residual = query.astype(np.float64)
    for _ in range(n):
        picks.append(int((covariance * covariance / noisy).argmax()))
        vector = matrix[picks[-1]].astype(np.float64)
        seen = directions @ vector
        scale = np.sqrt(vector @ vector - seen @ seen + noise)
        direction = (vector - seen @ directions) / scale
        effect = residual @ vector / scale
        column = matrix @ direction.astype(np.float32)
        covariance -= np.float32(effect) * column
        noisy -= column * column
        residual -= effect * direction
        directions = np.vstack([directions, direction])
    explained = directions @ query
    return picks, float(1 - explained @ explained / (query.astype(np.float64) @ query))


def timed(task: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """What a task returns, and its processor and wall seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = task()
    return result, {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}


def measure(matrix: np.ndarray, row: int, n: int, noise: float, nearest: int) -> dict[str, Any]:
    """One query, a row of the matrix: times, readings, variances, certificate."""
    import numpy as np

    from whet.selection import Nearest, Sift, choose_from_all

    query = matrix[row].copy()

    def floor() -> None:
        for _ in range(n):
            matrix @ query

    def whole(exact: bool) -> Callable[[], Any]:
        return lambda: choose_from_all(matrix, query, n, noise=noise, exclude=[row], exact=exact)

    seconds = {}
    _, seconds["floor"] = timed(floor)
    (picks, variance), seconds["naive"] = timed(lambda: naive(matrix, query, n, noise, row))
    exact, seconds["exact"] = timed(whole(exact=True))
    approximate, seconds["approximate"] = timed(whole(exact=False))

    similarity = matrix @ query
    similarity[row] = -np.inf
    near = np.argpartition(-similarity, nearest)[:nearest]
    chosen = exact.choice.indices
    return {
        "query_row": row,
        "seconds": seconds,
        "reads": exact.reads,
        "same_picks_as_naive": int((chosen == picks).sum()),
        "distinct_picks": len(set(chosen.tolist())),
        "picks_among_nearest": int(np.isin(chosen, near).sum()),
        "variance": {
            "exact": float(exact.choice.variances[-1]),
            "naive": variance,
            "approximate": float(approximate.choice.variances[-1]),
            "sift_of_nearest": float(Sift(noise).choose(matrix[near], query, n).variances[-1]),
            "nearest": float(Nearest(noise).choose(matrix[near], query, n).variances[-1]),
        },
        "certificate": {
            "least": float(approximate.certificate.min()),
            "median": float(np.median(approximate.certificate)),
        },
        "nearest_cosine": float(similarity.max()),
    }


def summary(queries: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians over the queries; ratios are of processor time, query by query."""
    over = {name: [q["seconds"][name]["cpu"] for q in queries] for name in TIMED}
    ratio = {
        f"{a}/{b}": statistics.median(x / y for x, y in zip(over[a], over[b], strict=True))
        for a, b in (("naive", "exact"), ("floor", "exact"), ("naive", "approximate"), ("floor", "approximate"))
    }
    keys = ("reads", "same_picks_as_naive", "distinct_picks", "picks_among_nearest", "nearest_cosine")
    return {
        "cpu_seconds": {name: statistics.median(taken) for name, taken in over.items()},
        "wall_seconds": {name: statistics.median(q["seconds"][name]["wall"] for q in queries) for name in TIMED},
        "cpu_ratio": ratio,
        **{key: statistics.median(q[key] for q in queries) for key in keys},
        "variance": {name: statistics.median(q["variance"][name] for q in queries) for name in queries[0]["variance"]},
        "certificate": {
            name: statistics.median(q["certificate"][name] for q in queries) for name in ("least", "median")
        },
    }


def report(matrix: np.ndarray, source: str, options: argparse.Namespace) -> dict[str, Any]:
    """All queries of one matrix."""
    import numpy as np

    queries = []
    for seed in options.seeds:
        rows = np.random.default_rng(seed).choice(len(matrix), size=options.queries, replace=False)
        for row in rows.tolist():
            queries.append(measure(matrix, row, options.picks, options.noise, options.nearest))
    shape = {"source": source, "rows": len(matrix), "dimensions": matrix.shape[1]}
    settings = {"picks": options.picks, "noise": options.noise, "nearest": options.nearest}
    return {**shape, **settings, "median": summary(queries), "queries": queries}


def table(reports: list[dict[str, Any]]) -> str:
    """The medians as lines of text."""
    lines = []
    for one in reports:
        m = one["median"]
        lines.append(
            f"{one['source']}: {one['rows']} × {one['dimensions']}, {one['picks']} picks, λ = {one['noise']}, "
            f"medians of {len(one['queries'])} queries"
        )
        for name in TIMED:
            cpu, wall = m["cpu_seconds"][name], m["wall_seconds"][name]
            lines.append(f"  {name:<12} {cpu:>8.3f} s CPU {wall:>8.3f} s wall {m['cpu_seconds']['naive'] / cpu:>6.1f}×")
        lines.append(
            f"  exact: {m['reads']:.0f} readings; {m['same_picks_as_naive']:.0f} picks as naive, "
            f"{m['distinct_picks']:.0f} distinct, {m['picks_among_nearest']:.0f} among the {one['nearest']} nearest"
        )
        lines.append("  variance left: " + ", ".join(f"{name} {value:.4f}" for name, value in m["variance"].items()))
        certificate = m["certificate"]
        lines.append(f"  certificate: least {certificate['least']:.3f}, median {certificate['median']:.3f}")
    return "\n".join(lines)


def main() -> None:
    """Measure, print the table, and write the JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, action="append", help="size of a made memory; may be given again")
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--memory", type=Path, help="folder of a memory whose vectors are taken too")
    parser.add_argument("--picks", type=int, default=50)
    parser.add_argument("--noise", type=float, default=0.01)
    parser.add_argument("--nearest", type=int, default=200)
    parser.add_argument("--queries", type=int, default=5, help="for each seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="where to write the report")
    options = parser.parse_args()

    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # read when numpy is first imported
        os.environ[name] = str(options.threads)
    import numpy as np

    reports = []
    if options.memory:
        from whet.memory import Memory

        with Memory.open(options.memory) as memory:
            reports.append(report(memory.vectors[1], "memory", options))
    for rows in options.rows or ([] if options.memory else [100_000]):
        reports.append(report(clustered(rows, options.dimensions, options.seeds[0]), "made", options))
    print(table(reports))
    if options.json:
        config = {
            "seeds": options.seeds,
            "threads": options.threads,
            "machine": platform.processor() or platform.machine(),
            "python": platform.python_version(),
            "numpy": np.__version__,
        }
        options.json.write_text(json.dumps({"reports": reports, "config": config}, indent=1) + "\n")


if __name__ == "__main__":
    main()
