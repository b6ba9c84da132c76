"""Training and scoring for a stream of queries; whatever has been done is on disk and not done again."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from adapter_stream_queries import Ask
from safetensors.torch import load_file, save_file
from torch import Tensor

from whet import adaptation
from whet.adaptation import AdapterBank, LoraConfig, Trainer
from whet.adaptation.trainer import Job
from whet.decoding import score_many, score_text
from whet.engine import Engine
from whet.memory import merge_lora, merge_weights
from whet.types import Example

TOGETHER = 16
"""Adapters that are trained or scored in the same passes."""
T = TypeVar("T")


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
        self._banks: dict[int, AdapterBank] = {}
        folder.mkdir(parents=True, exist_ok=True)
        self.firsts = [number for number, ask in enumerate(asks) if ask.first == number]
        vectors = {i: engine.memory.embed([asks[i].query.text])[0].astype(np.float64) for i in self.firsts}
        self.vectors = np.stack([vectors[ask.first] for ask in asks])
        self.cosines = np.clip(self.vectors @ self.vectors.T, -1, 1)

    def prepare(self) -> None:
        """Score every query with the base model and with an adapter of its own, which the guard looks at."""
        for i in self.firsts:
            if self._key(i, "base") not in self.log.values:
                query = self.asks[i].query
                assert query.target is not None
                score = score_text(self.engine.model, query.target, given=query.given)
                self.log.put(self._key(i, "base"), score.bits_per_byte)
        self._train([i for i in self.firsts if self._key(i, "kept") not in self.log.values])
        self.score((i, (i,)) for i in self.firsts)

    @property
    def kept(self) -> list[bool]:
        """For each query whether the guard keeps its own adapter."""
        return [self.log.values[self._key(ask.first, "kept")] for ask in self.asks]

    @property
    def base(self) -> list[float]:
        """Bits per byte of each query with the base model."""
        return [self.log.values[self._key(ask.first, "base")] for ask in self.asks]

    def score(self, wanted: Iterable[tuple[int, tuple[int, ...]]]) -> None:
        """Score queries with the adapters of others, several merged as the engine does; known scores are kept."""
        pairs = {(self.asks[i].first, self._names(adapters)) for i, adapters in wanted}
        left = sorted(pair for pair in pairs if self._key(*pair) not in self.log.values)
        left.sort(key=lambda pair: len(pair[1]))
        for merged, group in groupby(left, key=lambda pair: len(pair[1])):
            bank = self._bank(merged)
            for part in _parts(group, bank.slots):
                for slot, (i, adapters) in enumerate(part):
                    self._fill(bank, slot, i, adapters)
                for pair, bits in zip(part, self._bits(bank, [i for i, _ in part]), strict=True):
                    self.log.put(self._key(*pair), bits)

    def bits(self, query: int, adapters: tuple[int, ...]) -> float:
        """Bits per byte of a query with these adapters, that `score` was asked for."""
        return float(self.log.values[self._key(self.asks[query].first, self._names(adapters))])

    def courses(self, pairs: Sequence[tuple[int, int]], counts: Sequence[int]) -> None:
        """Train for queries afresh and from the adapter of another; score after these numbers of steps and at the end.

        Afresh, the end is the query's own adapter, which `prepare` has scored.
        """
        for part in _parts((p for p in pairs if self._key(p[0], f"from {p[1]}") not in self.log.values), TOGETHER):
            queries = [i for i, _ in part]
            afresh = self._course(queries, [None] * len(part), list(zip((0, *counts), counts, strict=False)))
            afresh.append([self.bits(i, (i,)) for i in queries])
            started = self._course(
                queries, [other for _, other in part], list(zip((0, *counts), (*counts, None), strict=True))
            )
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
        config, model = self.engine.config, self.engine.model
        trainer = Trainer(model, self._bank(1), config.train)
        checking = self.engine.bank
        held_out: list[Example | None] = []

        def jobs() -> Iterator[Job]:
            for i in queries:
                examples, held = adaptation.hold_out(self.picks(i))
                held_out.append(held)
                yield Job(examples, config.seed)

        for done in trainer.run_jobs(jobs()):
            i, held = queries[done.job], held_out[done.job]
            checking.load(0, done.tensors)
            status = "kept"
            if held is not None:
                status = adaptation.check(model, checking, 0, held, trainer.objective).status
            draft = self.folder / ".draft"
            save_file(done.tensors, draft)
            draft.replace(self._file(i))
            self.log.put(self._key(i, "kept"), status == "kept")

    def _course(
        self, queries: Sequence[int], starts: Sequence[int | None], stretches: Sequence[tuple[int, int | None]]
    ) -> list[list[float]]:
        """Bits per byte of all queries after each stretch of their steps."""
        bank, config = self._bank(1), self.engine.config
        trainer = Trainer(self.engine.model, bank, config.train)
        lessons = [adaptation.hold_out(self.picks(i))[0] for i in queries]
        for slot, start in enumerate(starts):
            if start is None:
                bank.reset(slot, seed=config.seed)
            else:
                bank.load(slot, self.adapter(start))
        scores = []
        for begin, end in stretches:
            trainer.run({slot: lesson[begin:end] for slot, lesson in enumerate(lessons)})
            scores.append(self._bits(bank, queries))
        return scores

    def _bits(self, bank: AdapterBank, queries: Sequence[int]) -> list[float]:
        asked = [self.asks[i].query for i in queries]
        targets, given = [query.target or "" for query in asked], [query.given for query in asked]
        scores = score_many(self.engine.model, targets, given=given, bank=bank, slots=range(len(asked)))
        return [score.bits_per_byte for score in scores]

    def _fill(self, bank: AdapterBank, slot: int, query: int, adapters: tuple[int, ...]) -> None:
        if len(adapters) == 1:
            bank.load(slot, self.adapter(adapters[0]))
            return
        bound = self._bank(1).bound
        weights = merge_weights([self.cosines[query, other] for other in adapters], tau=0.0)
        bank.load_peft(slot, *merge_lora([bound.to_peft(self.adapter(other)) for other in adapters], weights))

    def _bank(self, merged: int) -> AdapterBank:
        """Slots wide enough for so many adapters side by side."""
        if merged not in self._banks:
            lora = self.engine.config.lora
            form = LoraConfig(r=lora.r * merged, lora_alpha=lora.lora_alpha * merged)
            self._banks[merged] = AdapterBank(self.engine.model.module, form, slots=TOGETHER)
        return self._banks[merged]

    def _names(self, adapters: Iterable[int]) -> tuple[int, ...]:
        return tuple(self.asks[other].first for other in adapters)

    def _key(self, query: int, what: str | tuple[int, ...]) -> str:
        how = what if isinstance(what, str) else "with " + " ".join(map(str, what))
        return f"{self.name} {query} {how}"

    def _file(self, query: int) -> Path:
        return self.folder / f"{query}.safetensors"


def single_thread() -> None:
    """One thread, so that figures do not depend on the machine's cores."""
    torch.set_num_threads(1)


def _parts(things: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(things)
    while part := list(islice(rest, size)):
        yield part
