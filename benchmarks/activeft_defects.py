"""What activeft 0.1.1 does where it goes wrong, and what whet does with the same input.

    python benchmarks/activeft_defects.py
    python benchmarks/activeft_defects.py threads index-too-small

The cases are the programs of `activeft_defects.toml`. Each side of each case runs in a process of its own with a time
limit. One line says what came of it; where that ends in an exception, so did the program. Needs the development extra.
What the lines mean is in docs/selection_peer.md.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import textwrap
import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from activeft.sift import Retriever

CASES = Path(__file__).with_suffix(".toml")
SECONDS = 120
"""Time limit of a program."""

IMPORTS = {
    "activeft": "from activeft import ActiveDataLoader",
    "whet": """
        from whet.control import AdaptiveStop
        from whet.selection import SELECTORS, BayesianLinear, Constraints, Linear, Predictions, Sift
        """,
}


def data(rows: int, dimensions: int, queries: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors in float32 in eight clusters, `(rows, dimensions)`, and queries between them."""
    import numpy as np

    rng = np.random.default_rng(0)
    centres = rng.standard_normal((8, dimensions))
    candidates = centres[rng.integers(8, size=rows)] + 0.5 * rng.standard_normal((rows, dimensions))
    targets = rng.dirichlet(np.ones(8), queries) @ centres
    both = [part / np.linalg.norm(part, axis=1, keepdims=True) for part in (candidates, targets)]
    return both[0].astype(np.float32), both[1].astype(np.float32)


def variance(candidates: np.ndarray, query: np.ndarray, picks: Sequence[int]) -> str:
    """Share of the query's prior variance that is left after the picks at a noise of 0.01, by a fit in float64."""
    import numpy as np

    seen, target = candidates[list(picks)].astype(np.float64), np.atleast_2d(query).astype(np.float64)
    explained = target @ seen.T @ np.linalg.solve(seen @ seen.T + 0.01 * np.eye(len(seen)), seen @ target.T)
    return f"{1 - np.trace(explained) / np.square(target).sum():.3g}"


def retriever(candidates: np.ndarray, **options: Any) -> Retriever:
    """activeft over a flat index of inner products."""
    import faiss
    from activeft.sift import Retriever

    index = faiss.IndexFlatIP(candidates.shape[1])
    index.add(candidates)
    return Retriever(index, **options)


def found(peer: Retriever, query: np.ndarray, n: int, k: int) -> list[int]:
    """activeft's picks for one query `(m, d)`."""
    return [int(i) for i in peer.search(query, N=n, K=k)[1]]


def sift(candidates: np.ndarray, query: np.ndarray, n: int) -> list[int]:
    """whet's picks."""
    from whet.selection import Sift

    picks: list[int] = Sift().choose(candidates, query, n).indices.tolist()
    return picks


def criterion(name: str, candidates: np.ndarray, query: np.ndarray, model: Any = None) -> list[int]:
    """10 picks by another criterion of activeft, `module.Class`."""
    from importlib import import_module

    import torch
    from activeft import ActiveDataLoader

    module, function = name.split(".")
    made = getattr(import_module(f"activeft.acquisition_functions.{module}"), function)(target=torch.tensor(query))
    picks: list[int] = ActiveDataLoader(torch.tensor(candidates), 10, made).next(model)[0].tolist()
    return picks


def shared(a: Sequence[int], b: Sequence[int]) -> int:
    """How many picks two answers share, repeats counted."""
    return (Counter(a) & Counter(b)).total()


def program(case: dict[str, str], side: str) -> str:
    """What is run."""
    goes_on = case.get(side, "picks = sift(candidates, query, 10)")
    start = "import numpy as np, torch\nfrom activeft_defects import *"
    parts = [start, case["given"], IMPORTS[side], goes_on, case.get("then", "print('picks', picks)")]
    return "\n".join(textwrap.dedent(part) for part in parts)


def outcome(code: str) -> str:
    """What a program printed, and how it ended if not well, in one line."""
    paths = {"PYTHONPATH": str(CASES.parent), "PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"}
    run = [sys.executable, "-c", code]
    try:
        done = subprocess.run(run, capture_output=True, text=True, timeout=SECONDS, env=os.environ | paths, check=False)
    except subprocess.TimeoutExpired:
        return f"no answer within {SECONDS} s"
    said = done.stdout.split()
    if done.returncode > 0:
        said += [line for line in done.stderr.splitlines() if line.strip()][-1].split()
    elif done.returncode:
        said.append(f"killed by signal {-done.returncode}")
    return " ".join(said)


def main() -> None:
    """Run the cases that were asked for, or all."""
    cases = tomllib.loads(CASES.read_text())
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", nargs="*", default=list(cases), help=f"some of: {', '.join(cases)}")
    for name in parser.parse_args().case:
        print(name)
        for side in IMPORTS:
            print(f"  {side:<8}  {outcome(program(cases[name], side))}", flush=True)


if __name__ == "__main__":
    main()
