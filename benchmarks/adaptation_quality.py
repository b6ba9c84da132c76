"""Which form of adapter, in how many layers, at which rate: bits saved on held-out halves of texts.

    python benchmarks/adaptation_quality.py DATA MEMORY --work runs/quality

DATA and MEMORY are those of `language_textmix.py` (which makes the memory). The rate of each form is chosen on queries
of the `validation` split; the forms are compared on queries of `test`, each at its rate. A query is the first half of a
text, the second half is scored after it; every form learns from the same picks in the same order. An interrupted run
goes on when it is called again.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from adaptation_forms import FORMS, PRECISIONS, RATES
from rich.progress import Progress
from scipy.stats import bootstrap

from whet.adaptation import TrainConfig
from whet.config import EngineConfig
from whet.engine import Engine
from whet.evaluation import Text, choose_texts
from whet.evaluation.files import write_atomically
from whet.memory import Memory, chunk_text, read_jsonl
from whet.models import WHET_BASE, LanguageModel
from whet.tasks import MODES
from whet.types import Example

PICKS = 20
TOGETHER = 8
"""Queries that are trained in one bank."""


@dataclass(frozen=True)
class Outcome:
    """One query with one form at one rate; `base` is the form of the model alone."""

    split: str
    id: str
    domain: str
    form: str
    lr: float
    bits_per_byte: float
    steps: int
    cpu_seconds: float
    parameters: int


@dataclass(frozen=True)
class Task:
    """Some queries of a split with one form at one rate."""

    split: str
    texts: tuple[Text, ...]
    form: str
    lr: float


def measure(engine: Engine, task: Task) -> list[Outcome]:
    """Train an adapter for each query, all in one bank, and score each."""
    from whet.adaptation import AdapterBank, Trainer
    from whet.decoding import score_many, score_text

    queries = [MODES["halves"](text.text) for text in task.texts]
    if task.form == "base":
        bits = [score_text(engine.model, q.target or "", given=q.given).bits_per_byte for q in queries]
        return [
            Outcome(task.split, t.id, t.group, "base", 0.0, b, 0, 0.0, 0) for t, b in zip(task.texts, bits, strict=True)
        ]
    bank = AdapterBank(engine.model.module, FORMS[task.form](), slots=len(queries))
    jobs = {slot: _picks(engine, text) for slot, text in enumerate(task.texts)}
    for slot in jobs:
        bank.reset(slot, seed=0)
    began = time.process_time()
    config = TrainConfig(lr=task.lr, precision=PRECISIONS[task.form])
    traces = Trainer(engine.model, bank, config).run(jobs)
    spent = (time.process_time() - began) / len(jobs)
    scores = score_many(
        engine.model, [q.target or "" for q in queries], given=[q.given for q in queries], bank=bank, slots=list(jobs)
    )
    return [
        Outcome(
            task.split, text.id, text.group, task.form, task.lr, score.bits_per_byte, trace.steps, spent,
            bank.bound.layout.size,
        )
        for text, score, trace in zip(task.texts, scores, traces.values(), strict=True)
    ]  # fmt: skip


_known_picks: dict[str, list[Example]] = {}


def _picks(engine: Engine, text: Text) -> list[Example]:
    if text.id not in _known_picks:
        copies = {Example(target=part).id for part in (text.text, *(chunk.text for chunk in chunk_text(text.text)))}
        vector = engine.memory.embed([MODES["halves"](text.text).text])[0]
        candidates = engine.memory.search(vector, engine.config.candidates, exclude=copies)
        _known_picks[text.id] = engine.pick(candidates, n=PICKS, adaptive=False).examples
    return _known_picks[text.id]


_engine: Engine


def _open(memory: str) -> None:
    global _engine
    import torch

    torch.set_num_threads(1)
    _engine = Engine(LanguageModel.from_pretrained(WHET_BASE), Memory.open(memory), EngineConfig(reuse=None))


def _measure(task: Task) -> list[Outcome]:
    return measure(_engine, task)


def run(tasks: Sequence[Task], log: Path, memory: Path, workers: int) -> list[Outcome]:
    """Measure what the log does not hold yet; returns all that it holds then."""
    outcomes = read_log(log)
    done = {(o.split, o.id, o.form, o.lr) for o in outcomes}
    left = [task for task in tasks if any((task.split, t.id, task.form, task.lr) not in done for t in task.texts)]
    if not left:
        return outcomes
    context = multiprocessing.get_context("spawn")
    with (
        Progress() as progress,
        log.open("a") as out,
        ProcessPoolExecutor(workers, context, initializer=_open, initargs=(str(memory),)) as pool,
    ):
        bar = progress.add_task("measure", total=len(left))
        for future in as_completed([pool.submit(_measure, task) for task in left]):
            fresh = future.result()
            out.write("".join(json.dumps(asdict(outcome)) + "\n" for outcome in fresh))
            out.flush()
            outcomes += fresh
            progress.advance(bar)
    return outcomes


def read_log(log: Path) -> list[Outcome]:
    """The outcomes in the log, whose torn last line is cut off."""
    if not log.exists():
        return []
    whole = log.read_bytes()
    whole = whole[: whole.rfind(b"\n") + 1]
    os.truncate(log, len(whole))
    return [Outcome(**json.loads(line)) for line in whole.splitlines()]


def tasks_of(split: str, texts: Sequence[Text], settings: Iterable[tuple[str, float]]) -> Iterator[Task]:
    """Queries in groups, those of about equal length together; each group with each form and rate."""
    ordered = sorted(texts, key=lambda text: len(text.text))
    groups = [tuple(ordered[i : i + TOGETHER]) for i in range(0, len(ordered), TOGETHER)]
    for form, lr in settings:
        for group in groups:
            yield Task(split, group, form, lr)


def saved(outcomes: Sequence[Outcome], split: str, form: str, lr: float) -> np.ndarray:
    """Share of the base's bits that each query of a split saves, in the order of ids."""
    base = {o.id: o.bits_per_byte for o in outcomes if o.split == split and o.form == "base"}
    found = {o.id: o.bits_per_byte for o in outcomes if (o.split, o.form, o.lr) == (split, form, lr)}
    return np.array([1 - found[id] / base[id] for id in sorted(found)])


def best_rates(outcomes: Sequence[Outcome], forms: Sequence[str]) -> dict[str, float]:
    """For each form the rate that saves most on validation queries."""
    return {
        form: max(RATES[form], key=lambda lr: float(saved(outcomes, "validation", form, lr).mean())) for form in forms
    }


def rows_of(outcomes: Sequence[Outcome], split: str, settings: Iterable[tuple[str, float]]) -> list[dict[str, Any]]:
    """A row for each form and rate: share saved with a 95 % bootstrap interval, share harmed, cost."""
    rows = []
    for form, lr in settings:
        shares = saved(outcomes, split, form, lr)
        those = [o for o in outcomes if (o.split, o.form, o.lr) == (split, form, lr)]
        interval = bootstrap((shares,), np.mean, rng=0, n_resamples=2000).confidence_interval
        rows.append(
            {
                "split": split,
                "form": form,
                "lr": lr,
                "queries": len(shares),
                "saved": float(shares.mean()),
                "ci95": [float(interval.low), float(interval.high)],
                "harmed": float((shares < 0).mean()),
                "cpu_seconds": float(np.mean([o.cpu_seconds for o in those])),
                "parameters": those[0].parameters,
            }
        )
    return rows


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as a Markdown table."""
    lines = ["| form | rate | bits saved, % | worse than base, % | CPU s | numbers |", "|---|---|---|---|---|---|"]
    for row in rows:
        low, high = (100 * value for value in row["ci95"])
        lines.append(
            f"| {row['form']} | {row['lr']:g} | {100 * row['saved']:.1f} ({low:.1f} to {high:.1f}) | "
            f"{100 * row['harmed']:.0f} | {row['cpu_seconds']:.2f} | {row['parameters']:,} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("memory", type=Path)
    parser.add_argument("--work", type=Path, default=Path("runs/quality"))
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/adaptation_quality.json"))
    parser.add_argument("--validation", type=int, default=2, help="queries of a domain that rates are chosen on")
    parser.add_argument("--test", type=int, default=4, help="queries of a domain for the comparison")
    parser.add_argument("--forms", nargs="+", default=list(FORMS), choices=list(FORMS), help="only these")
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)

    def texts(split: str, limit: int) -> list[Text]:
        files = sorted(args.data.glob("*.jsonl*"))
        examples = (example for file in files for example in read_jsonl(file, where={"split": split}))
        return choose_texts(examples, limit=limit, max_chars=1600)

    log = args.work / "adaptation_quality.jsonl"
    tried = [("base", 0.0), *((form, lr) for form in args.forms for lr in RATES[form])]
    outcomes = run(
        list(tasks_of("validation", texts("validation", args.validation), tried)), log, args.memory, args.workers
    )
    final = list(best_rates(outcomes, args.forms).items())
    outcomes = run(
        list(tasks_of("test", texts("test", args.test), [("base", 0.0), *final])), log, args.memory, args.workers
    )
    validation, test = rows_of(outcomes, "validation", tried[1:]), rows_of(outcomes, "test", final)
    content = {"rows": [*validation, *test], "picks": PICKS, "validation": args.validation, "test": args.test}
    write_atomically(args.json, json.dumps(content, indent=1) + "\n")
    print(f"### Rates, on validation queries\n\n{table(validation)}\n")
    print(f"### Forms at their rates, on test queries\n\n{table(test)}")


if __name__ == "__main__":
    main()
