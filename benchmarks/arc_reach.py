"""How often the net that comes with whet is right on grids larger than those that it was trained on.

    python benchmarks/arc_reach.py --out runs/reach.jsonl

Training tasks by their largest side; of each the first demonstration is asked for, with the others to practise on, two
attempts. The net has seen the rules of these tasks in small grids, so what it solves here is more than it would solve
of tasks that are new to it. Tasks up to 10×10 are those that pretraining never saw. A run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path

import numpy as np
import torch
from arc_pretrain import held_out

from whet.models.grid_net import load_grid_net
from whet.programs.limits import Meter
from whet.tasks.arc import ArcTask, load_set, wilson
from whet.tasks.arc.transduction.practice import Practice
from whet.tasks.arc.transduction.stages import stages
from whet.tasks.arc.transduction.voting import product
from whet.tasks.arc.ways import ARC_NET

SIDES = ((1, 10), (11, 15), (16, 20), (21, 30))


def chosen(low: int, high: int, count: int) -> list[ArcTask]:
    """Tasks of three or more demonstrations whose largest side lies between these, drawn once for all."""
    tasks = [task for task in load_set("arc1-training") if len(task.train) > 2 and low <= task.largest_side <= high]
    unseen = set(held_out())
    tasks = [task for task in tasks if high > 10 or task.id in unseen]
    return random.Random(0).sample(tasks, min(count, len(tasks)))


def right(task: ArcTask, seconds: float) -> list[bool]:
    """Whether each stage of practice is right."""
    first, *rest = task.train
    asked = ArcTask(task.id, tuple(rest), (first.input,))
    found = stages(load_grid_net(ARC_NET), asked, Practice(), 16, Meter(seconds, time.process_time))
    return [any(np.array_equal(one, first.output) for one in product(stage.readings[0])[:2]) for stage in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20, help="tasks of each size")
    parser.add_argument("--seconds", type=float, default=15.0, help="processor time a task")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    done = {line["id"]: line["right"] for line in map(json.loads, args.out.open())} if args.out.exists() else {}
    for low, high in SIDES:
        tasks = chosen(low, high, args.count)
        for task in tasks:
            if task.id not in done:
                done[task.id] = right(task, args.seconds)
                with args.out.open("a") as file:
                    print(json.dumps({"id": task.id, "right": done[task.id]}), file=file, flush=True)
        for name, place in (("as it is", 0), ("with practice", -1)):
            solved = sum(done[task.id][place] for task in tasks)
            share, most = (100 * bound for bound in wilson(solved, len(tasks)))
            print(f"sides {low} to {high}, {name}: {solved} of {len(tasks)} ({share:.1f} to {most:.1f} %)", flush=True)


if __name__ == "__main__":
    main()
