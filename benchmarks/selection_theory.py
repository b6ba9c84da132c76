"""What the theory of selection promises, measured on real text: variance and gain, near-copies, stopping, noise.

    python benchmarks/selection_theory.py ../shared/data/textmix --limit 2

DATA and the memory are those of `language_textmix.py`, and so are the model, the adapter, the candidates and the score.
The queries are of `validation`. The run logs every finished part to `--log` and goes on from there when it is called
again; at the end, or with `--draw` at once, the log is made into the JSON, the figures and the tables of the page.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from selection_theory_pictures import draw, fill, tables
from selection_theory_report import (
    Outcome,
    Part,
    Point,
    Scores,
    duplicates,
    fixed_counts,
    foresight,
    noise_levels,
    pair,
    seed_spread,
    stopped_at,
    stopping,
)
from selection_theory_statistics import Row, unions

from whet.adaptation import Trainer
from whet.config import EngineConfig
from whet.decoding import score_text
from whet.engine import Engine
from whet.evaluation import Text, choose_texts
from whet.evaluation.files import write_atomically
from whet.memory import Candidates, Memory, chunk_text, read_jsonl
from whet.models import WHET_BASE
from whet.selection import BayesianLinear, Nearest, Random, Selector, Sift
from whet.tasks import MODES
from whet.types import Example

NOISE = 0.1
PICKS = 20
COUNTS = (1, 2, 3, 4, 6, 8, 11, 15, 20, 30)
ALPHAS = (0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1.0)
NOISES = (0.001, 0.01, 0.1, 1.0, 10.0)
COPIES = (0, 1, 5, 20)
COPIED = 5
COSINE = 0.995
SEEDS = (0, 1, 2)
SETTINGS: dict[str, Any] = {
    "model": WHET_BASE, "split": "validation", "max_chars": 1600, "mode": "whole", "noise": NOISE, "picks": PICKS,
    "counts": COUNTS, "alphas": ALPHAS, "noises": NOISES, "copies": COPIES, "copied": COPIED, "cosine": COSINE,
    "seeds": SEEDS,
}  # fmt: skip
PLAIN = json.loads(json.dumps(SETTINGS))
PAIRS: tuple[tuple[str, dict[str, Any], dict[str, Any]], ...] = (
    ("SIFT(0.1) against nearest", {"method": "sift"}, {"method": "nearest"}),
    ("SIFT(0.1) against random", {"method": "sift"}, {"method": "random"}),
    ("nearest against random", {"method": "nearest"}, {"method": "random"}),
    ("SIFT(0.1) against SIFT(0.001)", {"method": "sift"}, {"method": "sift", "noise": 0.001}),
    ("SIFT(0.1) against SIFT(10)", {"method": "sift"}, {"method": "sift", "noise": 10.0}),
    ("nearest without copies against with 20", {"method": "nearest"}, {"method": "nearest", "copies": 20}),
)
EARLIER = (
    ("whole", "sift(0.1)", 10), ("whole", "sift(0.1)", 50), ("whole", "sift(0.01)", 50), ("halves", "sift(0.1)", 50),
)  # fmt: skip
DRAWN = ("test, whole, SIFT(0.1), 50", "validation, SIFT(0.1), 20")
ROOT = Path(__file__).parents[1]
DOCS, RESULTS = ROOT / "docs", ROOT / "benchmarks" / "results"


def near_copies(near: Candidates, copies: int, seed: Sequence[int]) -> Candidates:
    """The candidates with `copies` near-copies of each of the first COPIED ones behind them, nearest first again.

    A near-copy has the id, so the text, of its original, and a unit vector in a random direction at cosine COSINE.
    """
    rng = np.random.default_rng(seed)
    rows = np.repeat(np.arange(COPIED), copies)
    origin = near.vectors[rows].astype(np.float64)
    side = rng.standard_normal(origin.shape)
    side -= (side * origin).sum(axis=1, keepdims=True) * origin
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    made = COSINE * origin + np.sqrt(1 - COSINE**2) * side
    vectors = np.concatenate([near.vectors, made.astype(np.float32)])
    similarities = vectors @ near.query
    order = np.argsort(-similarities, kind="stable")
    ids = [*near.ids, *(near.ids[row] for row in rows)]
    return Candidates(tuple(ids[i] for i in order), vectors[order], similarities[order], near.query)


class Measurement:
    """One query; a training run that has been made is not made again."""

    def __init__(self, engine: Engine, text: Text) -> None:
        self.engine, self.text, self.query = engine, text, MODES["whole"](text.text)
        barred = {Example(target=part).id for part in (text.text, *(chunk.text for chunk in chunk_text(text.text)))}
        vector = engine.memory.embed([self.query.text])[0]
        self.near = engine.memory.search(vector, engine.config.candidates, exclude=barred)
        self.draw = int(np.random.default_rng((0, int(text.id, 16))).integers(2**31))
        self.anywhere = engine.memory.sample(engine.config.candidates, self.draw, query=vector, exclude=barred)
        self._known: dict[tuple[int, tuple[str, ...]], float] = {}

    def main(self) -> Part:
        points = [Point("base", NOISE, 0, 0, 0, self._score(), 1.0, 0)]
        trace = Sift(NOISE).choose(self.near.vectors, self.near.query, max(COUNTS)).variances.tolist()
        counts = {*COUNTS, *(stopped_at(trace, alpha) for alpha in ALPHAS)} - {0}
        points += self._run(Sift(NOISE), counts=counts)
        for copies in COPIES:
            points += self._run(Nearest(NOISE), copies=copies)
            points += self._run(Sift(NOISE), copies=copies) if copies else []
        for noise in NOISES:
            points += self._run(Sift(noise)) if noise != NOISE else []
        points += self._run(Random(NOISE, seed=self.draw))
        return Part(self.text.id, self.text.group, "main", points, trace)

    def seeds(self) -> Part:
        points: list[Point] = []
        for seed in SEEDS[1:]:
            for copies in (0, max(COPIES)):
                points += self._run(Nearest(NOISE), copies=copies, seed=seed)
                points += self._run(Sift(NOISE), copies=copies, seed=seed)
        return Part(self.text.id, self.text.group, "seeds", points, [])

    def _run(
        self, selector: Selector, *, counts: Sequence[int] | set[int] = (PICKS,), copies: int = 0, seed: int = 0
    ) -> Iterator[Point]:
        """Train on the picks in order, one step each, and score after each of the counts."""
        candidates = self.anywhere if isinstance(selector, Random) else self.near
        if copies:
            candidates = near_copies(candidates, copies, (copies, int(self.text.id, 16)))
        indices = selector.choose(candidates.vectors, candidates.query, max(counts)).indices
        ids = tuple(candidates.ids[i] for i in indices)
        self._train(ids, sorted(counts), seed)
        for n in sorted(counts):
            seen = BayesianLinear(NOISE).condition(candidates.vectors[indices[:n]].astype(np.float64))
            left = float(seen.variance(candidates.query.astype(np.float64))[0])
            noise = selector.noise if isinstance(selector, Sift) else NOISE
            bits = self._known[seed, ids[:n]]
            yield Point(selector.name, noise, copies, seed, n, bits, left, len(set(ids[:n])))

    def _train(self, ids: tuple[str, ...], counts: Sequence[int], seed: int) -> None:
        if all((seed, ids[:n]) in self._known for n in counts):
            return
        bank = self.engine.bank
        bank.reset(0, seed=seed)
        trainer = Trainer(self.engine.model, bank, self.engine.config.train)
        examples = self.engine.memory.get(ids)
        for before, n in zip((0, *counts), counts, strict=False):
            trainer.run({0: examples[before:n]})
            with bank.using(0):
                self._known[seed, ids[:n]] = self._score()

    def _score(self) -> float:
        assert self.query.target is not None
        return score_text(self.engine.model, self.query.target, given=self.query.given).bits_per_byte


def read_log(log: Path) -> list[Part]:
    """The parts in the log, without a torn last line."""
    content = log.read_bytes()
    first, *lines = content[: content.rfind(b"\n") + 1].decode().split("\n")
    if json.loads(first) != PLAIN:
        raise SystemExit(f"{log} is of other settings; name another --log, or remove it.")
    parts = [json.loads(line) for line in lines if line]
    return [Part(**{**part, "points": [Point(**point) for point in part["points"]]}) for part in parts]


def begin(log: Path) -> None:
    """Make the log ready to be written on: begun with the settings, or a torn last line cut off."""
    if log.exists():
        os.truncate(log, log.read_bytes().rfind(b"\n") + 1)
    else:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(json.dumps(PLAIN) + "\n")


def measure(texts: list[Text], memory: Path, log: Path) -> None:
    """Every query's main part, one query of each domain first; then the seeds, on the first query of each domain."""
    import torch

    torch.set_num_threads(1)
    rounds = [
        (place, text)
        for _, members in groupby(texts, key=lambda text: text.group)
        for place, text in enumerate(members)
    ]
    rounds.sort(key=lambda pair: pair[0])
    jobs = [("main", text) for _, text in rounds] + [("seeds", text) for place, text in rounds if place == 0]
    there = {(part.name, part.id) for part in read_log(log)}
    with Memory.open(memory) as opened, log.open("a") as out:
        engine = Engine.from_pretrained(WHET_BASE, memory=opened, config=EngineConfig(reuse=None))
        for number, (name, text) in enumerate(jobs, start=1):
            if (name, text.id) not in there:
                measurement = Measurement(engine, text)
                part = measurement.main() if name == "main" else measurement.seeds()
                out.write(json.dumps(asdict(part)) + "\n")
                out.flush()
                print(f"{number} of {len(jobs)}: {name} of {text.group}", flush=True)


def queries(data: Path, domains: list[str] | None, limit: int) -> list[Text]:
    """The first texts of every domain, or of some."""
    files = [file for file in sorted(data.glob("*.jsonl*")) if domains is None or file.name.split(".")[0] in domains]
    held_out = [example for file in files for example in read_jsonl(file, where={"split": SETTINGS["split"]})]
    return choose_texts(held_out, limit=limit, max_chars=SETTINGS["max_chars"])


def report(done: list[Part], unseen: set[str]) -> tuple[Row, dict[str, Outcome]]:
    """All statistics, and what is drawn query by query."""
    scores = Scores(done, NOISE, PICKS)
    twice = {part.id for part in done if part.name == "seeds"}
    again = Scores([part for part in done if part.id in twice], NOISE, PICKS)
    earlier = committed(RESULTS / "language_textmix.queries.jsonl.gz")
    ways = (("sift", 1), ("sift", 6), ("sift", PICKS), ("sift", max(COUNTS)), ("nearest", PICKS))
    own = {f"validation, {_named(method)}, {n}": scores.outcome(method, n) for method, n in ways}
    found: Row = {
        "queries": {name: int(mask.sum()) for name, mask in unions(scores.groups, unseen).items()},
        "domains": len(set(scores.groups.tolist())),
        "base bits": float(scores.base.mean()),
        "foresight": [{"source": name, **foresight(outcome, unseen)} for name, outcome in {**own, **earlier}.items()],
        "pairs": [{"name": name, **pair(scores, a, b)} for name, a, b in PAIRS],
        "duplicates": duplicates(scores, COPIES, unseen),
        "fixed counts": fixed_counts(scores, COUNTS, unseen),
        "stopping": stopping(scores, ALPHAS, COUNTS, unseen),
        "noise": noise_levels(scores, NOISES, unseen),
        "seeds": seed_spread(again, SEEDS, max(COPIES)) if twice else [],
        "seed queries": len(again.base),
    }
    return found, {name: {**own, **earlier}[name] for name in DRAWN}


def _named(method: str) -> str:
    return f"SIFT({NOISE:g})" if method == "sift" else method


def committed(path: Path) -> dict[str, Outcome]:
    """Of the test queries of `language_textmix.py`, by kind of run."""
    with gzip.open(path, "rt") as lines:
        next(lines)
        records = [record for line in lines for record in json.loads(line)]
    found = {}
    for mode, method, picks in EARLIER:
        base = {r["id"]: r for r in records if r["mode"] == mode and r["method"] == "base"}
        ours = [r for r in records if (r["mode"], r["method"], r["picks"]) == (mode, method, picks)]
        columns = [(r["variance"], r["bits_per_byte"], base[r["id"]]["bits_per_byte"]) for r in ours]
        left, bits, before = np.array(columns).T
        groups = np.array([r["group"] for r in ours])
        found[f"test, {mode}, {method.replace('sift', 'SIFT')}, {picks}"] = Outcome(left, bits, before, groups)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--memory", type=Path, default=Path("runs/textmix/memory.whet"))
    parser.add_argument("--log", type=Path, default=Path("runs/theory/selection_theory.jsonl"))
    parser.add_argument("--limit", type=int, default=2, help="queries of a domain")
    parser.add_argument("--domains", help="only these, with commas between")
    parser.add_argument("--draw", action="store_true", help="measure nothing; use what the log holds")
    args = parser.parse_args()
    if not args.draw:
        begin(args.log)
        texts = queries(args.data, args.domains.split(",") if args.domains else None, args.limit)
        measure(texts, args.memory, args.log)
    domains = json.loads((args.data / "index.json").read_text())
    unseen = {domain["domain"] for domain in domains if not domain["seen_by_base"]}
    found, clouds = report(read_log(args.log), unseen)
    write_atomically(RESULTS / "selection_theory.json", json.dumps({**found, "config": PLAIN}, indent=1))
    draw(found, clouds, unseen, DOCS)
    fill(DOCS / "selection_theory.md", tables(found))


if __name__ == "__main__":
    main()
