"""Pretrain the net for ARC on made-up tasks and on the training set of ARC-AGI-1 with re-arc.

    python benchmarks/arc_pretrain.py --re-arc tasks.jsonl.gz --out runs/arc --steps 5000

Forty tasks of the training set are held out, so that choices can be made on them; nothing of ARC-AGI-2, of the
evaluation set of ARC-AGI-1 or of Mini-ARC is read. A run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from whet.models.grid_net import GridNetConfig
from whet.tasks.arc import load_set
from whet.tasks.arc.transduction.corpus import training_tasks
from whet.tasks.arc.transduction.pretrain import Pretraining, Schedule
from whet.tasks.arc.transduction.sampling import Mixture, Sampler

HELD_OUT = 40
SMALL = 10


def held_out() -> list[str]:
    """Forty tasks of the training set with grids up to 10×10, which pretraining never sees."""
    small = [
        task.id
        for task in load_set("arc1-training")
        if max(max(grid.shape) for pair in task.train for grid in (pair.input, pair.output)) <= SMALL
        and max(max(grid.shape) for grid in task.test) <= SMALL
    ]
    return sorted(str(i) for i in np.random.default_rng(0).permutation(small)[:HELD_OUT])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--re-arc", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--decay", type=int, default=0)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--tokens", type=int, default=3000)
    parser.add_argument("--sides", type=int, nargs="*", default=[4, 4, 5, 5, 5, 6, 7, 8, 10])
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--blocks", type=int, default=8)
    parser.add_argument("--hidden", type=int, default=384)
    args = parser.parse_args()
    torch.set_num_threads(1)
    tasks = training_tasks("arc1-training", args.re_arc, never=held_out())
    config = GridNetConfig(args.width, args.blocks, args.width // 32, args.hidden)
    pretraining = Pretraining(config, args.out)
    sampler = Sampler(Mixture(tasks, sides=args.sides, tokens=args.tokens), seed=0)
    print(f"{sum(p.numel() for p in pretraining.net.parameters()) / 1e6:.2f} M, step {pretraining.step}", flush=True)
    window: list[dict[str, Any]] = []
    began = time.process_time()

    def log(numbers: dict[str, Any]) -> None:
        nonlocal began
        window.append(numbers)
        if numbers["step"] % 100 == 0:
            spent = time.process_time() - began
            loss, right = (float(np.mean([one[name] for one in window])) for name in ("loss", "right"))
            line = {"step": numbers["step"], "loss": round(loss, 4), "right": round(right, 4)}
            print(json.dumps(line | {"cpu_s": round(spent, 1), "clock": time.strftime("%H:%M:%S")}), flush=True)
            window.clear()
            began = time.process_time()

    pretraining.train(sampler, Schedule(args.steps, args.lr, decay=args.decay), save_every=100, log=log)


if __name__ == "__main__":
    main()
