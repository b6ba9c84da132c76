"""How fast the parts of a training pass are on this processor: whet's own against those of torch, in one run.

    python benchmarks/adaptation_kernels.py

One thread, everything in the processor's cache, the least processor time of many tries. Products are in GFLOP/s, and
the rate of large products is the bound; sweeps over numbers are in 10⁹ numbers a second.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from functools import partial

os.environ["OMP_NUM_THREADS"] = "1"  # read when torch is first imported

import torch
from torch.nn.functional import cross_entropy, linear, scaled_dot_product_attention

from whet.adaptation import products
from whet.adaptation.routing import Routing
from whet.models import sweeps
from whet.models.attention import attend_causally
from whet.models.tiles import PAIRS, multiply

TRIES = 60


def rates(work: float, ways: Mapping[str, Callable[[], object]]) -> str:
    """The work over the least time of each way, taken in turns, in 10⁹ a second."""
    least = dict.fromkeys(ways, float("inf"))
    for _ in range(TRIES):
        for name, run in ways.items():
            begin = time.process_time()
            run()
            least[name] = min(least[name], time.process_time() - begin)
    return ", ".join(f"{name} {work / seconds / 1e9:.1f}" for name, seconds in least.items())


def by_routine(tiles: bool, x: torch.Tensor, matrix: torch.Tensor, precision: torch.dtype) -> Callable[[], object]:
    """A frozen product by whet or by oneDNN."""
    packed, routine = products.Packed(2**28), frozenset({precision} if tiles else ())

    def run() -> object:
        before = products._TILES, products._packed
        products._TILES, products._packed = routine, packed
        try:
            return products.frozen_product(x, matrix, precision=precision)
        finally:
            products._TILES, products._packed = before

    return run


def frozen() -> None:
    """Products with a frozen matrix for few and many rows, in bfloat16 too where the processor has it."""
    matrix = torch.randn(512, 192)
    for precision in (torch.float32, torch.bfloat16) if PAIRS else (torch.float32,):
        kept = matrix.to(precision)
        for rows in (1, 16, 64, 256, 2048):
            x = torch.randn(rows, 192)
            ways = {
                "whet": by_routine(True, x, matrix, precision),
                "oneDNN": by_routine(False, x, matrix, precision),
                "torch": lambda x=x, kept=kept: linear(x.to(kept.dtype), kept).float(),
            }
            name = str(precision).removeprefix("torch.")
            print(f"frozen matrix 512 x 192, {rows} rows, {name}: {rates(2 * rows * matrix.numel(), ways)} GFLOP/s")


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


def small() -> None:
    """Products as attention has them, 32 queries or keys of a head at a time."""
    for rows, columns, terms in ((32, 512, 32), (512, 32, 32), (32, 32, 512)):
        x, y, out = torch.randn(rows, terms), torch.randn(terms, columns), torch.empty(rows, columns)
        sizes = rows, columns, terms, 1.0, 0
        given = out.data_ptr(), columns, x.data_ptr(), terms, 1, y.data_ptr(), columns, *sizes
        ways: dict[str, Callable[[], object]] = {
            "whet": partial(multiply, *given),
            "torch": partial(torch.mm, x, y, out=out),
        }
        print(f"{rows} x {terms} times {terms} x {columns}: {rates(2 * rows * columns * terms, ways)} GFLOP/s")


def attention() -> None:
    """Causal attention of 2,048 tokens with 6 heads of 32 numbers, and its gradients; half of a square counts."""
    heads, size = 6, 32
    for length in (32, 64, 512):
        count = 2048 // length
        packed = [torch.randn(2048, heads, size).requires_grad_() for _ in range(3)]
        batch = [x.detach().view(count, length, heads, size).transpose(1, 2).requires_grad_() for x in packed]
        above = torch.randn(2048, heads, size)
        over = above.view(count, length, heads, size).transpose(1, 2)

        def ours(
            packed: list[torch.Tensor] = packed, lengths: list[int] = [length] * count, above: torch.Tensor = above
        ) -> object:
            return torch.autograd.grad(attend_causally(lengths, *packed, None), packed, above)

        def theirs(batch: list[torch.Tensor] = batch, over: torch.Tensor = over) -> object:
            return torch.autograd.grad(scaled_dot_product_attention(*batch, is_causal=True), batch, over)

        work = 6 * 2048 * length * heads * size
        print(f"attention, {count} x {length} tokens: {rates(work, {'whet': ours, 'torch': theirs})} GFLOP/s")


def loss() -> None:
    """Cross-entropy of many possible tokens."""
    logits, targets = torch.randn(256, 4096), torch.zeros(256, dtype=torch.long)
    leaf = logits.clone().requires_grad_()
    ways: dict[str, Callable[[], object]] = {
        "whet": lambda: sweeps.cross_entropy_(logits.clone(), targets),
        "torch": lambda: torch.autograd.grad(cross_entropy(leaf, targets), leaf),
    }
    print(f"loss of 4,096 tokens and its gradient: {rates(logits.numel(), ways)} 10⁹/s")


def main() -> None:
    torch.set_num_threads(1)
    frozen()
    low_rank()
    small()
    attention()
    loss()


if __name__ == "__main__":
    main()
