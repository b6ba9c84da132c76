"""Training, judging and scoring for a stream of queries; whatever has been done is on disk and not done again."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from adapter_stream_queries import Ask
from safetensors.torch import load_file, save_file
from torch import Tensor

from whet.adaptation import OBJECTIVES, AdapterBank, Guard, LoraConfig, Trainer
from whet.adaptation.guard import Snapshots
from whet.decoding import score_many, score_text
from whet.engine import Engine
from whet.memory import merge_lora, merge_weights
from whet.types import Example

TOGETHER = 16
"""Adapters that are trained in the same passes."""
T = TypeVar("T")


@dataclass(frozen=True)
class Trial:
    """What the adapters of others make of a query.

    Attributes:
        bits: per byte of its second half.
        serves: whether the guard lets them answer.
    """

    bits: float
    serves: bool


class Log:
    """Numbers by name, on disk as soon as they are known; JSON lines after a line of settings.

    Args:
        path: made if it is not there; a torn last line is cut off.
        settings: plain values; a log of others is refused.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        header = json.dumps(settings)
        if not path.exists():
            path.write_text(header + "\n")
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        os.truncate(path, len(whole))
        first, *lines = whole.decode().split("\n")
        if first != header:
            raise SystemExit(f"{path} is of other settings; name another --work, or remove it.")
        self.values: dict[str, Any] = dict(json.loads(line) for line in lines if line)
        self.path = path
        self._file = path.open("a")

    def put(self, name: str, value: Any) -> None:
        """Write a number, or several, under a name."""
        self.values[name] = value
        self._file.write(json.dumps([name, value]) + "\n")
        self._file.flush()


class Lab:
    """The queries of a stream with their embeddings, and for each what it learns from.

    Queries are named by their number in the stream; a repeat has everything from the first query with its text.

    Args:
        engine: the model, the memory and the settings; its cache is not used.
        asks: the stream.
        barred: ids of examples that no query may learn from.
        log: where scores are.
        folder: where adapters are.
        name: of the stream, in the log.
    """

    def __init__(
        self, engine: Engine, asks: Sequence[Ask], *, barred: set[str], log: Log, folder: Path, name: str
    ) -> None:
        self.engine, self.asks, self.log, self.folder, self.name = engine, asks, log, folder, name
        self._barred = barred
        self._guards: dict[int, Guard] = {}
        folder.mkdir(parents=True, exist_ok=True)
        self.firsts = [number for number, ask in enumerate(asks) if ask.first == number]
        vectors = {i: engine.memory.embed([asks[i].query.text])[0].astype(np.float64) for i in self.firsts}
        self.vectors = np.stack([vectors[ask.first] for ask in asks])
        self.cosines = np.clip(self.vectors @ self.vectors.T, -1, 1)

    def prepare(self) -> None:
        """Score every query with the base model, and with an adapter of its own as the guard leaves it."""
        for i in self.firsts:
            if self._key(i, "base") not in self.log.values:
                query = self.asks[i].query
                assert query.target is not None
                score = score_text(self.engine.model, query.target, given=query.given)
                self.log.put(self._key(i, "base"), score.bits_per_byte)
        left = [i for i in self.firsts if self._key(i, "own") not in self.log.values]
        for part in _parts(left, TOGETHER):
            self._train(part)

    @property
    def base(self) -> list[float]:
        """Bits per byte of each query with the base model."""
        return [self.log.values[self._key(ask.first, "base")] for ask in self.asks]

    @property
    def own(self) -> list[float]:
        """Bits per byte of each query with its own adapter, whether the guard keeps that or not."""
        return [self.log.values[self._key(ask.first, "own")][0] for ask in self.asks]

    @property
    def findings(self) -> list[str]:
        """For each query what the guard finds of its own adapter."""
        return [self.log.values[self._key(ask.first, "own")][1] for ask in self.asks]

    @property
    def kept(self) -> list[bool]:
        """For each query whether the guard keeps its own adapter, or an earlier state of it."""
        return [finding != "rolled_back" for finding in self.findings]

    def trial(self, query: int, adapters: tuple[int, ...]) -> Trial:
        """Try the adapters of other queries, several merged as the engine does; measured when first asked for."""
        first = self.asks[query].first
        key = self._key(first, "with " + " ".join(str(self.asks[other].first) for other in adapters))
        if key not in self.log.values:
            guard = self._guard(len(adapters))
            self._fill(guard.bank, first, adapters)
            report = guard.judge(self.asks[first].query.given)
            self.log.put(key, [*self._bits(guard.bank, [first]), report.status != "rolled_back"])
        return Trial(*self.log.values[key])

    def courses(self, pairs: Sequence[tuple[int, int]], counts: Sequence[int]) -> None:
        """Train for queries afresh and from the adapter of another; score after these numbers of steps and at the end.

        The guard has no say in it.
        """
        for part in _parts((p for p in pairs if self._key(p[0], f"from {p[1]}") not in self.log.values), TOGETHER):
            queries = [i for i, _ in part]
            afresh = self._course(queries, [None] * len(part), counts)
            started = self._course(queries, [other for _, other in part], counts)
            for place, (i, other) in enumerate(part):
                found = {"afresh": [row[place] for row in afresh], "from": [row[place] for row in started]}
                self.log.put(self._key(i, f"from {other}"), found)

    def course(self, query: int, other: int) -> dict[str, list[float]]:
        """Bits per byte after each number of steps and at the end, `afresh` and `from` the other's adapter."""
        found: dict[str, list[float]] = self.log.values[self._key(query, f"from {other}")]
        return found

    def adapter(self, query: int) -> dict[str, Tensor]:
        """The weights of a query's own adapter."""
        return load_file(self._file(self.asks[query].first))

    def picks(self, query: int) -> list[Example]:
        """What a query learns from, by the engine's settings."""
        memory, config = self.engine.memory, self.engine.config
        candidates = memory.search(self.vectors[query].astype(np.float32), config.candidates, exclude=self._barred)
        return self.engine.pick(candidates).examples

    def _train(self, queries: Sequence[int]) -> None:
        """Train the own adapters of at most so many queries as are trained together, and judge them."""
        config, guard = self.engine.config, self._guard(1)
        bank = guard.bank
        lessons = {slot: self.picks(i) for slot, i in enumerate(queries)}
        places: dict[int, Mapping[int, int]] = {}
        for slot, examples in lessons.items():
            bank.reset(slot, seed=config.seed)
            into = range(TOGETHER + slot, bank.slots, TOGETHER)
            places |= guard.snapshots(len(examples), into, slot=slot).places
        snapshots = Snapshots(bank, places)
        traces = Trainer(self.engine.model, bank, config.train).run(lessons, leave=snapshots)
        findings = [
            guard.judge(
                self.asks[i].query.given, slot=slot, learnt=lessons[slot], trace=traces[slot], snapshots=snapshots
            ).status
            for slot, i in enumerate(queries)
        ]
        for slot, (i, *found) in enumerate(zip(queries, self._bits(bank, queries), findings, strict=True)):
            draft = self.folder / ".draft"
            save_file(bank.tensors(slot), draft)
            draft.replace(self._file(i))
            self.log.put(self._key(i, "own"), found)

    def _course(self, queries: Sequence[int], starts: Sequence[int | None], counts: Sequence[int]) -> list[list[float]]:
        """Bits per byte of all queries after each of these numbers of steps and at the end."""
        bank, config = self._guard(1).bank, self.engine.config
        trainer = Trainer(self.engine.model, bank, config.train)
        lessons = [self.picks(i) for i in queries]
        for slot, start in enumerate(starts):
            bank.reset(slot, seed=config.seed)
            if start is not None:
                bank.load(slot, self.adapter(start))
        scores = []
        for begin, end in pairwise((0, *counts, None)):
            trainer.run({slot: lesson[begin:end] for slot, lesson in enumerate(lessons)})
            scores.append(self._bits(bank, queries))
        return scores

    def _bits(self, bank: AdapterBank, queries: Sequence[int]) -> list[float]:
        asked = [self.asks[i].query for i in queries]
        targets, given = [query.target or "" for query in asked], [query.given for query in asked]
        scores = score_many(self.engine.model, targets, given=given, bank=bank, slots=range(len(asked)))
        return [score.bits_per_byte for score in scores]

    def _fill(self, bank: AdapterBank, query: int, adapters: tuple[int, ...]) -> None:
        """Put these adapters into slot 0, merged by their distances to the query."""
        if len(adapters) == 1:
            bank.load(0, self.adapter(adapters[0]))
            return
        bound = self._guard(1).bank.bound
        weights = merge_weights([self.cosines[query, other] for other in adapters], tau=0.0)
        bank.load_peft(0, *merge_lora([bound.to_peft(self.adapter(other)) for other in adapters], weights))

    def _guard(self, merged: int) -> Guard:
        """The guard of a bank that is wide enough for so many adapters side by side."""
        if merged not in self._guards:
            model, config = self.engine.model, self.engine.config
            form = LoraConfig(r=config.lora.r * merged, lora_alpha=config.lora.lora_alpha * merged)
            slots = TOGETHER * (1 + len(config.tolerances.snapshots)) if merged == 1 else 1
            bank = AdapterBank(model.module, form, slots=slots)
            self._guards[merged] = Guard(model, bank, OBJECTIVES[config.train.objective](), config.tolerances)
        return self._guards[merged]

    def _key(self, query: int, what: str) -> str:
        return f"{self.name} {query} {what}"

    def _file(self, query: int) -> Path:
        return self.folder / f"{query}.safetensors"


def single_thread() -> None:
    """One thread, so that figures do not depend on the machine's cores."""
    torch.set_num_threads(1)


def _parts(things: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(things)
    while part := list(islice(rest, size)):
        yield part
