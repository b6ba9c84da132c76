"""What the small net for ARC solves with more and more practice on each task, by the processor time it has.

    python benchmarks/arc_stages.py --folder mini-arc/MiniARC --seconds 60 --out runs/stages.jsonl

Each stage of a task is written down with its time, so that one run shows every shorter limit too. Tasks are solved with
two attempts, by each vote. The run goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch
from arc_pretrain import held_out
from arc_transduction import solved_by, votes_of

from whet.models.grid_net import load_grid_net
from whet.programs.limits import Meter
from whet.tasks.arc import load_set, refuse_leak, wilson
from whet.tasks.arc.net_file import trained_on
from whet.tasks.arc.transduction.practice import Practice
from whet.tasks.arc.transduction.stages import stages
from whet.tasks.arc.ways import ARC_NET


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--set")
    parser.add_argument("--held-out", action="store_true")
    parser.add_argument("--side", type=int, default=30, help="only tasks without a larger grid")
    parser.add_argument("--begin", type=int, default=0, help="the first task to take, from 0")
    parser.add_argument("--every", type=int, default=1, help="take every so manieth task from there")
    parser.add_argument("--seconds", type=float, default=60.0, help="processor time a task")
    parser.add_argument("--lr", type=float, default=Practice.lr)
    parser.add_argument("--episodes", type=int, default=Practice.episodes)
    parser.add_argument("--left-out", type=int, default=Practice.left_out)
    parser.add_argument("--no-views", dest="views", action="store_false", help="practise on demonstrations as they are")
    parser.add_argument("--no-context", dest="context", action="store_false", help="practise on each pair alone")
    parser.add_argument("--net", type=Path, default=ARC_NET)
    parser.add_argument("--at", type=float, nargs="*", default=[10.0, 60.0])
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    source = "arc1-training" if args.held_out else args.set or str(args.folder)
    tasks = [task for task in load_set(source) if task.largest_side <= args.side]
    if args.held_out:
        tasks = [task for task in tasks if task.id in held_out()]
    tasks = tasks[args.begin :: args.every]
    refuse_leak(trained_on(args.net), {task.id for task in tasks})
    net = load_grid_net(args.net)
    practice = Practice(
        lr=args.lr, episodes=args.episodes, left_out=args.left_out, views=args.views, context=args.context
    )
    args.out.parent.mkdir(parents=True, exist_ok=True)
    done = {line["id"]: line["stages"] for line in map(json.loads, args.out.open())} if args.out.exists() else {}
    for task in tasks:
        if task.id not in done:
            meter = Meter(args.seconds, time.process_time)
            done[task.id] = [
                {"steps": one.steps, "seconds": one.seconds, "votes": votes_of(one.readings)}
                for one in stages(net, task, practice, 16, meter)
            ]
            with args.out.open("a") as file:
                print(json.dumps({"id": task.id, "stages": done[task.id]}), file=file, flush=True)
    for limit in (0.0, *args.at):
        last = {}
        for task in tasks:
            in_time = [one for one in done[task.id] if one["seconds"] <= limit] or done[task.id][:1]
            last[task.id] = in_time[-1]["votes"]
        shown = []
        for vote in next(iter(last.values())):
            solved = solved_by({i: votes[vote] for i, votes in last.items()}, source)
            low, high = wilson(solved, len(tasks))
            shown.append(f"{vote} {solved} ({100 * low:.1f}-{100 * high:.1f} %)")
        print(f"{limit:g} s, of {len(tasks)}: {', '.join(shown)}", flush=True)


if __name__ == "__main__":
    main()
