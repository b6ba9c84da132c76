"""What test-time training of the small net for ARC is worth, stage by stage.

    python benchmarks/arc_transduction.py NET --held-out --out runs/held-out
    python benchmarks/arc_transduction.py NET --folder mini-arc/MiniARC --out runs/mini-arc

`--held-out` takes the forty tasks of the training set that pretraining never saw: choices are made on them. Each stage
writes its answers task by task and goes on where it was. A task is solved if each of its test inputs is right in one of
two attempts; the outputs of the tests are known to the judge alone.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from arc_pretrain import held_out

from whet.adaptation.bank import AdapterBank
from whet.adaptation.forms.lora import LoraConfig
from whet.models.grid_net import GridNet, load_grid_net
from whet.tasks.arc import ArcTask, as_grid, load_set, refuse_leak, score, wilson
from whet.tasks.arc.grids import distinct
from whet.tasks.arc.net_file import trained_on
from whet.tasks.arc.transduction.looks import looks
from whet.tasks.arc.transduction.practice import Practice, practise_slots, practised
from whet.tasks.arc.transduction.reading import Reading, read
from whet.tasks.arc.transduction.voting import VOTES

Readings = list[Reading]
Solver = Callable[[GridNet, Sequence[ArcTask]], list[Readings]]


def untrained(views: int) -> Solver:
    """The net as it is."""
    return lambda net, tasks: [read(net, task, looks(views, seed=0)) for task in tasks]


def trained(practice: Practice, views: int) -> Solver:
    """A copy of the net for each task, all of whose weights are trained."""

    def solve(net: GridNet, tasks: Sequence[ArcTask]) -> list[Readings]:
        nets = [practised(net, task, practice)[0] for task in tasks]
        seen_as = looks(views, seed=0)
        return [read(own, task, seen_as, context=practice.context) for own, task in zip(nets, tasks, strict=True)]

    return solve


def from_scratch(practice: Practice, views: int) -> Solver:
    """A net that knows nothing but the task, as in CompressARC (Liao and Gu 2025), though of another make."""

    def solve(net: GridNet, tasks: Sequence[ArcTask]) -> list[Readings]:
        torch.manual_seed(practice.seed)
        return trained(practice, views)(GridNet(net.config), tasks)

    return solve


def in_slots(practice: Practice, views: int, rank: int) -> Solver:
    """A LoRA adapter for each task, in one bank, all trained in the same passes."""

    def solve(net: GridNet, tasks: Sequence[ArcTask]) -> list[Readings]:
        bank = AdapterBank(net, LoraConfig(r=rank, lora_alpha=2.0 * rank), slots=len(tasks))
        practise_slots(bank, tasks, practice)
        found = []
        for slot, task in enumerate(tasks):
            with bank.using(slot):
                found.append(read(net, task, looks(views, seed=0)))
        return found

    return solve


def run(name: str, solver: Solver, net: GridNet, tasks: Sequence[ArcTask], at_once: int, out: Path) -> list[Any]:
    """The answers of every view and the attempts of every vote for each task, from its file where there."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{name}.jsonl"
    done = {line["id"]: line for line in map(json.loads, path.open())} if path.exists() else {}
    left = [task for task in tasks if task.id not in done]
    for start in range(0, len(left), at_once):
        part = left[start : start + at_once]
        began = time.process_time()
        found = solver(net, part)
        spent = (time.process_time() - began) / len(part)
        with path.open("a") as file:
            for task, readings in zip(part, found, strict=True):
                line = {"id": task.id, "cpu_s": spent, "votes": votes_of(readings)}
                print(json.dumps(line), file=file, flush=True)
                done[task.id] = line
    return [done[task.id] for task in tasks]


def votes_of(readings: Readings) -> dict[str, Any]:
    """The attempts of every vote at each test input, of a single view, and the answers of all views."""
    votes = {vote: [lists(choose(r)) for r in readings] for vote, choose in VOTES.items()}
    votes["one view"] = [lists(r.answers[:1]) for r in readings]
    votes["any view"] = [lists(distinct(r.answers)) for r in readings]
    return votes


def lists(grids: Any) -> list[Any]:
    return [grid.tolist() for grid in grids]


def solved_by(answers: dict[str, Any], source: str) -> int:
    """How many tasks these attempts solve."""
    made = {i: tuple(tuple(map(as_grid, tried)) for tried in tests) for i, tests in answers.items()}
    return sum(task.solved for task in score(made, source).tasks if task.id in made)


def report(name: str, lines: Sequence[Any], source: str) -> dict[str, Any]:
    """Tasks solved by each vote, with Wilson's intervals at 95 %."""
    row: dict[str, Any] = {"stage": name, "tasks": len(lines), "cpu_s": sum(x["cpu_s"] for x in lines) / len(lines)}
    for vote in lines[0]["votes"]:
        solved = solved_by({x["id"]: x["votes"][vote] for x in lines}, source)
        low, high = wilson(solved, len(lines))
        row[vote] = {"solved": solved, "low": low, "high": high}
    shown = ", ".join(
        f"{vote} {row[vote]['solved']} ({100 * row[vote]['low']:.1f}-{100 * row[vote]['high']:.1f} %)"
        for vote in lines[0]["votes"]
    )
    print(f"{name}: of {len(lines)}, {row['cpu_s']:.1f} CPU-s a task: {shown}", flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("net", type=Path)
    parser.add_argument("--held-out", action="store_true")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--set")
    parser.add_argument("--side", type=int, default=30, help="only tasks without a larger grid")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--stages", nargs="*", default=["untrained", "trained", "no-views", "no-context", "slots"])
    parser.add_argument("--steps", type=int, default=Practice.steps)
    parser.add_argument("--episodes", type=int, default=Practice.episodes)
    parser.add_argument("--lr", type=float, default=Practice.lr)
    parser.add_argument("--slot-lr", type=float, default=3e-3)
    parser.add_argument("--scratch-steps", type=int, default=400)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--views", type=int, default=16)
    parser.add_argument("--every", type=int, default=1, help="take every so manieth task")
    args = parser.parse_args()
    torch.set_num_threads(1)
    source = "arc1-training" if args.held_out else args.set or str(args.folder)
    tasks = [task for task in load_set(source) if task.largest_side <= args.side]
    if args.held_out:
        wanted = set(held_out())
        tasks = [task for task in tasks if task.id in wanted]
    tasks = tasks[:: args.every]
    refuse_leak(trained_on(args.net), {task.id for task in tasks})
    sizes = {"steps": args.steps, "episodes": args.episodes, "lr": args.lr}
    slots = Practice(**sizes | {"lr": args.slot_lr})
    solvers = {
        "untrained": (untrained(args.views), 1),
        "trained": (trained(Practice(**sizes), args.views), 1),
        "no-views": (trained(Practice(**sizes, views=False), args.views), 1),
        "no-context": (trained(Practice(**sizes, context=False), args.views), 1),
        "from-scratch": (from_scratch(Practice(**sizes | {"steps": args.scratch_steps}), args.views), 1),
        "slots": (in_slots(slots, args.views, args.rank), args.at_once),
    }
    net = load_grid_net(args.net)
    rows = []
    for name in args.stages:
        solver, at_once = solvers[name]
        rows.append(report(name, run(name, solver, net, tasks, at_once, args.out), source))
    (args.out / "report.json").write_text(json.dumps({"net": str(args.net), **vars(args), "rows": rows}, default=str))


if __name__ == "__main__":
    main()
