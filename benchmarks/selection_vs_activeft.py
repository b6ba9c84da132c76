"""SIFT as whet does it against activeft 0.1.1, on the same data in the same run: time, picks, variance, memory.

    python benchmarks/selection_vs_activeft.py --json benchmarks/results/selection_vs_activeft.json
    python benchmarks/selection_vs_activeft.py --part one --size 200,384

On one thread. Candidates are random unit vectors shifted towards the query. `whet` is `Sift(noise).choose`, checks of
its input included, and `numpy only` the same without its compiled loop. `activeft` is its `Retriever` as it is meant to
be used: it searches a flat faiss index of the K candidates first and forks a worker process for each query, whose time
counts. `activeft core` is only its greedy loop (`VTL.select_from_minibatch`).

- `one`: a query at a time, all in turns; medians over the rounds, and the range of a round's ratios of processor time.
- `many`: 64 queries with candidates of their own in one call of `choose_many`; activeft is called for each. A round
  takes the next 8 of them, and the time is given for 64.
- `large`: K above 1000, where activeft turns to a random tournament; in fresh processes, the first call of whet apart
  since it loads the compiled loop. Variances are computed from the picks by one function in float64.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from whet.selection import Sift

Picks = list[int]
OURS, NUMPY = "whet", "numpy only"
QUERIES, SAMPLE = 64, 8
CALLS = {OURS: 9, "activeft": 3}
"""In a process of the large sizes; one where K is above 10,000."""


def data(rows: int, dimensions: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Candidates `(rows, dimensions)` in a cap around the query `(dimensions,)`; unit vectors in float32."""
    import numpy as np

    rng = np.random.default_rng(seed)
    query, candidates = rng.standard_normal(dimensions), rng.standard_normal((rows, dimensions))
    query /= np.linalg.norm(query)
    candidates = candidates / np.linalg.norm(candidates, axis=1, keepdims=True) + 0.8 * query
    candidates /= np.linalg.norm(candidates, axis=1, keepdims=True)
    return candidates.astype(np.float32), query.astype(np.float32)


def retrieve(candidates: np.ndarray, query: np.ndarray, picks: int, noise: float) -> Callable[[], Picks]:
    """activeft as it is meant to be used."""
    import faiss
    import torch
    from activeft.sift import Retriever

    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    index = faiss.IndexFlatIP(candidates.shape[1])
    index.add(candidates)
    retriever = Retriever(index, llambda=noise)
    return lambda: [int(i) for i in retriever.search(query[None], N=picks, K=len(candidates), threads=1)[1]]


def selector(noise: float, name: str) -> Sift:
    """whet's, with or without the compiled loop."""
    from whet.selection import Sift
    from whet.selection.criteria import PosteriorSelector

    class NumpyOnly(Sift):
        solve = PosteriorSelector.solve

    return (Sift if name == OURS else NumpyOnly)(noise)


def contestants(candidates: np.ndarray, query: np.ndarray, picks: int, noise: float) -> dict[str, Callable[[], Picks]]:
    """What is measured on one query, by name: each returns its picks as rows of the candidates."""
    import torch
    from activeft.acquisition_functions.vtl import VTL

    core = VTL(target=torch.tensor(query[None]), noise_std=noise**0.5)
    rows = torch.tensor(candidates)
    with_numba, without = selector(noise, OURS), selector(noise, NUMPY)
    return {
        OURS: lambda: with_numba.choose(candidates, query, picks).indices.tolist(),
        NUMPY: lambda: without.choose(candidates, query, picks).indices.tolist(),
        "activeft": retrieve(candidates, query, picks, noise),
        "activeft core": lambda: core.select_from_minibatch(picks, None, rows, torch.device("cpu"))[0].tolist(),
    }


def processor_seconds() -> float:
    """User and system time of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def timed(task: Callable[[], Any], repeats: int = 1) -> tuple[float, float]:
    """Processor and wall milliseconds of one call, as the mean of `repeats` calls."""
    cpu, wall = processor_seconds(), time.perf_counter()
    for _ in range(repeats):
        task()
    return (processor_seconds() - cpu) / repeats * 1e3, (time.perf_counter() - wall) / repeats * 1e3


def summary(samples: dict[str, list[tuple[float, float]]]) -> dict[str, dict[str, Any]]:
    """Of each contestant the medians over the rounds, and how many times whet's processor time it took in a round."""
    report: dict[str, dict[str, Any]] = {}
    for name, taken in samples.items():
        ratios = [theirs[0] / ours[0] for theirs, ours in zip(taken, samples[OURS], strict=True)]
        report[name] = medians(taken) | {"ratio": statistics.median(ratios), "ratio_range": [min(ratios), max(ratios)]}
    return report


def medians(samples: Sequence[tuple[float, float]]) -> dict[str, float]:
    """Of processor and wall milliseconds."""
    cpu, wall = (statistics.median(column) for column in zip(*samples, strict=True))
    return {"cpu_ms": cpu, "wall_ms": wall}


def one(rows: int, dimensions: int, options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """All contestants on one query."""
    tasks = contestants(*data(rows, dimensions, options.seed), options.picks, options.noise)
    chosen = {name: task() for name, task in tasks.items()}
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in tasks}
    for _ in range(options.rounds):
        for name, task in tasks.items():
            samples[name].append(timed(task, repeats=1 if name.startswith("activeft") else 50))
    report = summary(samples)
    for name, picks in chosen.items():
        report[name]["same_picks"] = sum(a == b for a, b in zip(chosen[OURS], picks, strict=True))
    return report


def many(rows: int, dimensions: int, options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """64 queries in one call, against a call of activeft for each."""
    problems = [data(rows, dimensions, options.seed + i) for i in range(QUERIES)]
    peers = [retrieve(candidates, query, options.picks, options.noise) for candidates, query in problems]
    sets, queries = zip(*problems, strict=True)
    theirs: dict[int, Picks] = {}

    def together(name: str) -> list[Picks]:
        choices = selector(options.noise, name).choose_many(sets, queries, options.picks)
        return [choice.indices.tolist() for choice in choices]

    def one_by_one(places: list[int]) -> None:
        theirs.update((i, peers[i]()) for i in places)

    ours = {name: together(name) for name in (OURS, NUMPY)}
    samples: dict[str, list[tuple[float, float]]] = {OURS: [], NUMPY: [], "activeft": []}
    for turn in range(options.rounds):
        for name in ours:
            samples[name].append(timed(partial(together, name)))
        cpu, wall = timed(partial(one_by_one, [(turn * SAMPLE + i) % QUERIES for i in range(SAMPLE)]))
        samples["activeft"].append((cpu * QUERIES / SAMPLE, wall * QUERIES / SAMPLE))
    report = summary(samples)
    for name, answers in [(NUMPY, dict(enumerate(ours[NUMPY]))), ("activeft", theirs)]:
        same = sum(picks == ours[OURS][i] for i, picks in answers.items())
        report[name] |= {"queries_compared": len(answers), "queries_with_same_picks": same}
    return report


def alone(name: str, folder: Path, calls: int, options: argparse.Namespace) -> dict[str, Any]:
    """One contestant in this process, and the most memory that it and its worker held, in MB."""
    import numpy as np

    candidates, query = np.load(folder / "candidates.npy"), np.load(folder / "query.npy")
    if name == OURS:
        sift = selector(options.noise, OURS)
        sift.choose(candidates[:9], query, 2)  # loads the compiled loop
        task: Callable[[], Picks] = lambda: sift.choose(candidates, query, options.picks).indices.tolist()  # noqa: E731
    else:
        task = retrieve(candidates, query, options.picks, options.noise)
    answers: list[Picks] = []
    samples = [timed(lambda: answers.append(task())) for _ in range(calls)]
    # of this process, not of the one that began it, as ru_maxrss would be
    own = next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
    worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {"answers": answers, "samples": samples, "peak_mb": int(own) / 1e3, "worker_mb": worker / 1e3}


def large(rows: int, dimensions: int, options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Each contestant in a fresh process under the time limit."""
    import numpy as np
    from selection_quality import variance_left

    candidates, query = data(rows, dimensions, options.seed)
    report: dict[str, dict[str, Any]] = {}
    picked: Counter[int] = Counter()  # by whet, which comes first
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "candidates.npy", candidates)
        np.save(Path(folder) / "query.npy", query)
        for name, calls in CALLS.items():
            passed = {"alone": name, "folder": folder, "calls": 1 if rows > 10_000 else calls}
            passed |= {"picks": options.picks, "noise": options.noise}
            run = [sys.executable, __file__, *(f"--{key}={value}" for key, value in passed.items())]
            run += ["--stub-wandb"] * options.stub_wandb
            begin = processor_seconds()
            try:
                done = subprocess.run(run, capture_output=True, text=True, timeout=options.limit, check=False)
                ended = done.stderr.strip().splitlines()[-1] if done.returncode else ""
            except subprocess.TimeoutExpired:
                ended = f"no answer within {options.limit} s"
            if ended:
                report[name] = {"ended": f"{ended} after {processor_seconds() - begin:.0f} s of CPU"}
                continue
            entry = json.loads(done.stdout)
            answers = entry.pop("answers")
            picked = picked or Counter(answers[0])
            report[name] = entry | medians(entry.pop("samples"))
            report[name]["ratio"] = report[name]["cpu_ms"] / report[OURS]["cpu_ms"]
            report[name]["answers"] = f"{len({*map(tuple, answers)})} in {len(answers)} calls"
            variances = {variance_left(candidates, query, picks, options.noise) for picks in answers}
            report[name]["variances"] = sorted(variances)
            report[name]["shared_picks"] = sorted({(picked & Counter(picks)).total() for picks in answers})
    return report


HEAD = f"{'':5} {'K':>6} {'d':>5}  {'contestant':<13} {'CPU ms':>9} {'wall ms':>9} {'CPU ratio':>23}"


def lines(row: dict[str, Any], picks: int) -> Iterator[str]:
    """A row of the report as text."""
    for name, entry in row["contestants"].items():
        line = f"{row['part']:5} {row['candidates']:>6} {row['dimensions']:>5}  {name:<13} "
        if "ended" in entry:
            yield line + entry["ended"]
            continue
        ratio = f"{entry['ratio']:.1f}×"
        if "ratio_range" in entry:
            ratio += " ({:.1f} to {:.1f})".format(*entry["ratio_range"])
        line += f"{entry['cpu_ms']:>9.2f} {entry['wall_ms']:>9.1f} {ratio:>23}  "
        if "same_picks" in entry:
            line += f"{entry['same_picks']} of {picks} picks the same"
        if "queries_compared" in entry:
            line += f"{entry['queries_with_same_picks']} of {entry['queries_compared']} queries the same"
        if "answers" in entry:
            variances = ", ".join(f"{variance:.5f}" for variance in entry["variances"])
            line += f"{entry['peak_mb']:.0f} MB (+ {entry['worker_mb']:.0f}); answers: {entry['answers']}"
            line += f"\n{'':34}variance left {variances}; of {picks} picks shared {entry['shared_picks']}"
        yield line.rstrip()


PARTS = {
    "one": (one, [(200, 384), (200, 1024), (1000, 384), (1000, 1024)]),
    "many": (many, [(200, 384), (200, 1024)]),
    "large": (large, [(5000, 384), (5000, 1024), (100_000, 384)]),
}


def main() -> None:
    """Measure, print the table, and write the JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=PARTS, action="append", help="all unless given")
    parser.add_argument("--size", action="append", help="K,d: candidates and dimensions, in place of a part's own")
    parser.add_argument("--picks", type=int, default=50)
    parser.add_argument("--noise", type=float, default=0.01)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, default=900, help="seconds for a process of the large sizes")
    parser.add_argument("--stub-wandb", action="store_true", help="an empty wandb for activeft to find at every pick")
    parser.add_argument("--json", type=Path, help="where to write the report")
    for name, kind in (("--alone", str), ("--folder", Path), ("--calls", int)):  # of a process of the large sizes
        parser.add_argument(name, type=kind, help=argparse.SUPPRESS)
    options = parser.parse_args()

    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when numpy is first imported
    if options.stub_wandb:
        sys.modules["wandb"] = SimpleNamespace(run=None)  # type: ignore[assignment]
    if options.alone:
        print(json.dumps(alone(options.alone, options.folder, options.calls, options)))
        return
    rows: list[dict[str, Any]] = []
    print(HEAD)
    for part in options.part or PARTS:
        measure, sizes = PARTS[part]
        for k, d in [map(int, size.split(",")) for size in options.size or []] or sizes:
            rows.append({"part": part, "candidates": k, "dimensions": d, "contestants": measure(k, d, options)})
            print(*lines(rows[-1], options.picks), sep="\n", flush=True)
    if options.json:
        config = {name: getattr(options, name) for name in ("picks", "noise", "rounds", "seed", "limit", "stub_wandb")}
        config |= {"compiled": find_spec("numba") is not None, "python": platform.python_version()}
        config["machine"] = platform.processor() or platform.machine()
        options.json.write_text(json.dumps({"rows": rows, "config": config}, indent=1) + "\n")


if __name__ == "__main__":
    main()
