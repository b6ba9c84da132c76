"""What the guard keeps and what it rolls back, on 23 domains of text: good picks and five ways to learn harm.

    python benchmarks/guard_textmix.py DATA MEMORY --work runs/guard

DATA and MEMORY are those of `language_textmix.py` (which makes the memory). A query is the first half of a text, and
the second half is scored after it; so the guard may look at the whole prompt. The settings of the guard were chosen on
queries of the `validation` split. An interrupted run goes on when it is called again.
"""

from __future__ import annotations

import argparse
import json
import random
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from guard_conditions import CONDITIONS, Lessons, conditions
from guard_tables import decided, summary, tables
from rich.progress import track

from whet.adaptation import AdapterBank, TrainConfig, Trainer
from whet.adaptation.guard import Guard, GuardConfig
from whet.config import EngineConfig
from whet.decoding import score_text
from whet.engine import Engine
from whet.evaluation import Text, choose_texts
from whet.evaluation.files import write_atomically
from whet.memory import Memory, chunk_text, read_jsonl
from whet.models import WHET_BASE, LanguageModel
from whet.tasks import MODES
from whet.types import Example, Query

SEED = 0


def pick(engine: Engine, text: Text, query: Query) -> list[str]:
    """What the engine would learn for a query, without the text itself."""
    copies = {Example(target=part).id for part in (text.text, *(chunk.text for chunk in chunk_text(text.text)))}
    found = engine.memory.search(query.text, engine.config.candidates, exclude=copies)
    return [example.text for example in engine.pick(found).examples]


def other_domain(text: Text, texts: Sequence[Text]) -> Text:
    """A query of another domain."""
    return random.Random(zlib.crc32(text.id.encode())).choice([other for other in texts if other.group != text.group])


class Bench:
    """Trains, judges and scores."""

    def __init__(self, model: LanguageModel, config: EngineConfig) -> None:
        self.model, self.config = model, config
        guarded = GuardConfig()
        self.spare = list(range(1, 1 + len(guarded.snapshots)))
        self.bank = AdapterBank(model.module, config.lora, slots=1 + len(self.spare))
        self.guard = Guard(model, self.bank, self._trainer(1.0).objective, guarded)
        self.bank.reset(0, seed=SEED)
        self.guard.judge("Reads the general text with the base model, which is done once for all queries.")

    def records(self, text: Text, query: Query, learnt: dict[str, Lessons]) -> Iterator[dict[str, Any]]:
        base = self._score(query)
        for name in CONDITIONS:
            yield {
                "id": text.id,
                "domain": text.group,
                "condition": name,
                "base": base,
                **self._one(query, learnt[name]),
            }

    def _one(self, query: Query, lessons: Lessons) -> dict[str, Any]:
        examples = [Example(target=text) for text in lessons.texts]
        self.bank.reset(0, seed=SEED)
        trainer = self._trainer(lessons.rate)
        began = time.process_time()
        snapshots = self.guard.snapshots(len(examples), self.spare)
        trace = trainer.run({0: examples}, leave=snapshots)[0]
        trained = time.process_time()
        guardless = self._score(query, 0)
        halfway = {step: self._score(query, place) for step, place in snapshots.taken(0).items()}
        judging = time.process_time()
        findings, _ = self.guard.inspect(query.given, learnt=examples, trace=trace, snapshots=snapshots)
        judged = time.process_time()
        return {
            "guardless": guardless,
            "train_seconds": trained - began,
            "guard_seconds": judged - judging,
            "confidence": self.guard.config.confidence,
            "states": [{**asdict(found), "bits": halfway.get(found.step, guardless)} for found in findings],
        }

    def _trainer(self, rate: float) -> Trainer:
        train: TrainConfig = replace(self.config.train, lr=self.config.train.lr * rate)
        return Trainer(self.model, self.bank, train)

    def _score(self, query: Query, slot: int | None = None) -> float:
        assert query.target is not None
        if slot is None:
            return score_text(self.model, query.target, given=query.given).bits_per_byte
        with self.bank.using(slot):
            return score_text(self.model, query.target, given=query.given).bits_per_byte


def resume(log: Path) -> list[dict[str, Any]]:
    """The records of a log, a line a query; a torn last line is cut off."""
    content = log.read_bytes() if log.exists() else b""
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        log.write_bytes(whole)
    return [record for line in whole.splitlines() for record in json.loads(line)]


def measure(data: Path, memory: Path, split: str, limit: int, max_chars: int, log: Path) -> list[dict[str, Any]]:
    """Records of all queries and conditions; those that the log holds are not made again."""
    torch.set_num_threads(1)
    files = sorted(data.glob("*.jsonl*"))
    texts = choose_texts(
        [example for file in files for example in read_jsonl(file, where={"split": split})],
        limit=limit,
        max_chars=max_chars,
    )
    records = resume(log)
    done = {record["id"] for record in records}
    config = EngineConfig(reuse=None)
    with Memory.open(memory) as opened, log.open("a") as out:
        engine = Engine.from_pretrained(WHET_BASE, memory=opened, config=config)
        bench = Bench(engine.model, config)
        for text in track([text for text in texts if text.id not in done], description=split):
            query, other = MODES["halves"](text.text), other_domain(text, texts)
            picks, elsewhere = pick(engine, text, query), pick(engine, other, MODES["halves"](other.text))
            learnt = conditions(picks, elsewhere, zlib.crc32(text.id.encode()))
            fresh = list(bench.records(text, query, learnt))
            out.write(json.dumps(fresh) + "\n")
            out.flush()
            records += fresh
    wanted = {text.id for text in texts}
    return [record for record in records if record["id"] in wanted]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("memory", type=Path)
    parser.add_argument("--work", type=Path, default=Path("runs/guard"))
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/guard_textmix.json"))
    parser.add_argument("--split", default="test")
    parser.add_argument("--limit", type=int, default=4, help="queries of a domain")
    parser.add_argument(
        "--seen", type=Path, help="a log: goals are also given apart for queries that it has, and others"
    )
    parser.add_argument("--max-chars", type=int, default=1600, help="length that a text is cut at")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    log = args.work / f"guard_{args.split}.jsonl"
    measured = measure(args.data, args.memory, args.split, args.limit, args.max_chars, log)
    records = [decided(record, GuardConfig()) for record in measured]
    result = {
        "split": args.split,
        "queries_a_domain": args.limit,
        "max_chars": args.max_chars,
        "guard": asdict(GuardConfig()),
        **summary(records, {record["id"] for record in resume(args.seen)} if args.seen else set()),
    }
    write_atomically(args.json, json.dumps(result, indent=1) + "\n")
    print(tables(result))


if __name__ == "__main__":
    main()
