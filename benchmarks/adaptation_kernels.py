"""How fast the parts of a training pass are on this processor: whet's own against those of torch, in one run.

    python benchmarks/adaptation_kernels.py

One thread, everything in the processor's cache, the least of many tries. Products are in GFLOP/s, and the rate of large
products is the bound; sweeps over numbers are in 10⁹ numbers a second.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping

os.environ["OMP_NUM_THREADS"] = "1"  # read when torch is first imported

import torch
from torch.nn.functional import cross_entropy, linear

from whet.adaptation import products
from whet.adaptation.routing import Routing
from whet.models import sweeps

TRIES = 60


def rates(work: float, ways: Mapping[str, Callable[[], object]]) -> str:
    """The work over the least time of each way, taken in turns, in 10⁹ a second."""
    least = dict.fromkeys(ways, float("inf"))
    for _ in range(TRIES):
        for name, run in ways.items():
            begin = time.perf_counter()
            run()
            least[name] = min(least[name], time.perf_counter() - begin)
    return ", ".join(f"{name} {work / seconds / 1e9:.1f}" for name, seconds in least.items())


def by_routine(mkl: bool, x: torch.Tensor, matrix: torch.Tensor) -> Callable[[], object]:
    """A frozen product by MKL or by oneDNN, whichever of them this processor would take otherwise."""
    packed = products.Packed(2**28)

    def run() -> object:
        before = products._MKL, products._packed
        products._MKL, products._packed = mkl, packed
        try:
            return products.frozen_product(x, matrix)
        finally:
            products._MKL, products._packed = before

    return run


def frozen() -> None:
    """Products with a frozen matrix for few and many rows."""
    matrix = torch.randn(512, 192)
    for rows in (1, 16, 64, 256, 2048):
        x = torch.randn(rows, 192)
        ways = {"oneDNN": by_routine(False, x, matrix), "MKL": by_routine(True, x, matrix)}
        ways["torch"] = lambda x=x: linear(x, matrix)  # type: ignore[misc]
        print(f"frozen matrix 512 x 192, {rows} rows: {rates(2 * rows * matrix.numel(), ways)} GFLOP/s")


def low_rank() -> None:
    """Products of 32 slots of 64 rows with their matrices of rank 8."""
    slots, rows, r, n = 32, 64, 8, 192
    matrices, x = torch.randn(slots, r, n), torch.randn(slots * rows, n)
    routing, y, stacked = (
        Routing([rows] * slots, torch.device("cpu")),
        torch.zeros(slots * rows, n),
        x.view(slots, rows, n),
    )
    inner = routing.shrink(matrices, x)
    beside = inner.view(slots, rows, r)
    into = torch.zeros_like(matrices)
    pairs: dict[str, dict[str, Callable[[], object]]] = {
        "rows to rank": {
            "whet": lambda: routing.shrink(matrices, x),
            "torch": lambda: torch.bmm(stacked, matrices.transpose(1, 2)),
        },
        "rank to rows": {
            "whet": lambda: routing.expand(y, inner, matrices),
            "torch": lambda: y.view(slots, rows, n).baddbmm_(beside, matrices),
        },
        "gradient": {
            "whet": lambda: routing.outer(inner, x, 1.0, into=into),
            "torch": lambda: into.add_(torch.bmm(beside.transpose(1, 2), stacked)),
        },
    }
    for name, ways in pairs.items():
        print(f"rank {r}, {slots} slots, {name}: {rates(2 * x.numel() * r, ways)} GFLOP/s")


def numbers() -> None:
    """Softmax and the loss."""
    scores, logits, targets = torch.randn(60, 64, 64), torch.randn(256, 4096), torch.zeros(256, dtype=torch.long)
    hidden = torch.full((64, 64), -torch.inf).triu(1)
    ways: dict[str, Callable[[], object]] = {
        "whet": lambda: sweeps.causal_softmax_(scores, 64, 0),
        "torch": lambda: (scores + hidden).softmax(-1),
    }
    print(f"causal softmax of 64 keys: {rates(scores.numel(), ways)} 10⁹/s")
    leaf = logits.clone().requires_grad_()
    ways = {
        "whet": lambda: sweeps.cross_entropy_(logits.clone(), targets),
        "torch": lambda: torch.autograd.grad(cross_entropy(leaf, targets), leaf),
    }
    print(f"loss of 4,096 tokens and its gradient: {rates(logits.numel(), ways)} 10⁹/s")


def main() -> None:
    torch.set_num_threads(1)
    frozen()
    low_rank()
    numbers()


if __name__ == "__main__":
    main()
