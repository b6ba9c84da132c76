"""Bits per byte on 23 domains of text: base, in context, random, nearest, SIFT.

    python benchmarks/language_textmix.py DATA --work runs/textmix --split test

DATA is a folder of `DOMAIN.jsonl[.gz]` with records `{"domain", "split", "text"}` and an `index.json` that says of
each domain whether the base model has seen it (`seen_by_base`). The memory is made of the records whose split is
`memory`; the queries are those of `--split`. Settings were chosen on `validation`; `test` is for the final figures.
An interrupted run goes on when it is called again.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from rich.progress import Progress
from scipy.stats import spearmanr

from whet.adaptation import LoraConfig, TrainConfig
from whet.config import EngineConfig
from whet.evaluation import Job, Record, Row, Settings, choose_texts, language_report, measure_all, save_json, summarise
from whet.evaluation.findings import against
from whet.memory import Memory, read_jsonl
from whet.models import WHET_BASE


def index(data: Path, folder: Path, progress: Progress) -> None:
    task = progress.add_task("index", total=None)
    with Memory.create(folder) as memory:
        for file in sorted(data.glob("*.jsonl*")):
            progress.update(task, description=f"index {file.name.split('.')[0]}")
            added = memory.add_jsonl(file, where={"split": "memory"})
            progress.console.print(f"{file.name}: {added.new} new, {added.duplicates} there already")
        progress.update(task, description=f"{len(memory)} examples in the memory", total=1, completed=1)


def table(rows: list[Row], mode: str, domains: list[str]) -> str:
    """A Markdown table: per cent of the base, a line a domain, a column a method and number of picks."""
    columns = list(dict.fromkeys((r.method, r.picks) for r in rows if r.mode == mode and r.method != "base"))
    cells = {(r.domain, r.method, r.picks): r for r in rows if r.mode == mode}
    lines = [
        "| domain | queries | base, bits/byte | " + " | ".join(f"{m}, {n}" for m, n in columns) + " |",
        "|" + "---|" * (3 + len(columns)),
    ]
    for domain in domains:
        base = cells[domain, "base", 0]
        line = [domain, str(base.queries), f"{base.bits_per_byte:.3f}"]
        for method, n in columns:
            row = cells[domain, method, n]
            low, high = row.ci95 or (float("nan"), float("nan"))
            line.append(f"{row.percent_of_base:.1f} ({low:.1f}–{high:.1f})")
        lines.append("| " + " | ".join(line) + " |")
    return "\n".join(lines)


def foresight(records: list[Record], base: dict[str, float]) -> str:
    """Whether the variance that the picks left, known before any training, tells what training gained."""
    gains = [1 - r.bits_per_byte / base[r.id] for r in records]
    rank = spearmanr([r.variance for r in records], gains)
    return (
        f"{records[0].method}: rank correlation of the variance left with the share of bits saved "
        f"{rank.statistic:+.2f} over {len(records)} queries."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, default=Path("runs/textmix"))
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/language_textmix.json"))
    parser.add_argument("--split", default="test")
    parser.add_argument("--limit", type=int, default=25, help="queries of a domain")
    parser.add_argument("--max-chars", type=int, default=1600, help="length that a query is cut at")
    parser.add_argument("--methods", default="base,context,random,nearest,sift")
    parser.add_argument("--picks", default="10,50")
    parser.add_argument("--noise", default="0.1,0.01")
    parser.add_argument("--modes", default="whole,halves")
    parser.add_argument("--lr", type=float, default=TrainConfig().lr)
    parser.add_argument("--rank", type=int, default=LoraConfig().r)
    parser.add_argument("--alpha", type=float, default=LoraConfig().lora_alpha)
    parser.add_argument("--model", default=WHET_BASE)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    args.work.mkdir(parents=True, exist_ok=True)
    domains = json.loads((args.data / "index.json").read_text())
    unseen = {d["domain"] for d in domains if not d["seen_by_base"]}
    files = sorted(args.data.glob("*.jsonl*"))
    queries = [e for file in files for e in read_jsonl(file, where={"split": args.split})]
    texts = choose_texts(queries, limit=args.limit, max_chars=args.max_chars)
    job = Job(
        model=args.model,
        memory=str(args.work / "memory.whet"),
        config=EngineConfig(
            lora=LoraConfig(r=args.rank, lora_alpha=args.alpha), train=TrainConfig(lr=args.lr), reuse=None
        ),
        settings=Settings(
            methods=tuple(args.methods.split(",")),
            picks=tuple(int(n) for n in args.picks.split(",")),
            noise=tuple(float(n) for n in args.noise.split(",")),
            modes=tuple(args.modes.split(",")),
            seed=args.seed,
        ),
    )
    with Progress() as progress:
        index(args.data, args.work / "memory.whet", progress)
        task = progress.add_task("measure", total=len(texts))
        records = measure_all(
            job,
            texts,
            log=args.work / f"{args.json.stem}.jsonl",
            workers=args.workers,
            progress=lambda done: progress.update(task, completed=done),
        )
    there = {text.group for text in texts}
    rows = summarise(records, {"seen": there - unseen, "unseen": there & unseen})
    config = {**job.description(), "split": args.split, "limit": args.limit, "max_chars": args.max_chars}
    save_json(rows, config, args.json)
    report = language_report(rows, config, args.work / f"{args.json.stem}.html", unions={"seen", "unseen"})
    names = ["all", "seen", "unseen", *sorted(there - unseen), *sorted(there & unseen)]
    present = {row.domain for row in rows}
    for mode in job.settings.modes:
        print(f"\n### {mode}\n\n{table(rows, mode, [n for n in names if n in present])}")
        last = [r for r in records if r.mode == mode and r.picks == max(job.settings.picks)]
        methods = dict.fromkeys(r.method for r in last)
        for ours in (m for m in methods if m != "nearest" and "nearest" in methods):
            print(f"\n{against(last, ours, 'nearest')}")
        base = {r.id: r.bits_per_byte for r in records if r.mode == mode and r.method == "base"}
        for method in (m for m in methods if m.startswith("sift") and base):
            print(f"\n{foresight([r for r in last if r.method == method], base)}")
    print(f"\nreport: {report}")


if __name__ == "__main__":
    main()
