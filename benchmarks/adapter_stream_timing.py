"""What a query costs the engine when it trains and when the cache serves it, with a cache of many adapters."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from adapter_stream_lab import Lab

from whet.decoding import Sampling
from whet.engine import Engine
from whet.memory import AdapterCache, Provenance
from whet.types import Answer

MERGED = (1, 5)
TOKENS = 64
"""Length of an answer, at most."""


def time_engine(lab: Lab, queries: int, folder: Path) -> dict[str, Any]:
    """Processor seconds by phase: `train` for queries that are new, `hit 1`, `hit 5`, … for the same ones again.

    The cache holds the adapters of all other queries of the stream. `adapter bytes` is what one takes on disk.
    """
    shutil.rmtree(folder, ignore_errors=True)
    memory = lab.engine.memory
    kept = [i for i in lab.firsts if lab.kept[i] and lab.asks[i].kind == "new"]
    asked = kept[:: max(1, len(kept) // queries)][:queries]
    with _cache_at(lab, folder):
        for i in lab.firsts:
            if lab.kept[i] and i not in asked:
                _store(lab, i)
        held = len(memory.adapters)
        engines = {k: _engine(lab, k) for k in MERGED}
        engines[1].answer("A query that nobody asked.", sampling=Sampling(max_tokens=8))  # what is loaded at first use
        trained, hits = [], {k: list[Answer]() for k in MERGED}
        for i in asked:
            prompt = lab.asks[i].query.given
            trained.append(engines[1].answer(prompt, sampling=Sampling(max_tokens=TOKENS)))
            for k, engine in engines.items():
                again = engine.answer(prompt, sampling=Sampling(max_tokens=TOKENS))
                if again.plan.rung == "reuse":  # the guard may have rolled the new adapter back
                    hits[k].append(again)
        size = np.mean([record.size for record in memory.adapters])
    shutil.rmtree(folder)
    return {
        "queries": len(asked),
        "adapters held": held,
        "adapter bytes": float(size),
        "train": _phases(trained),
        **{f"hit {k}": _phases(answers) for k, answers in hits.items()},
    }


@contextmanager
def _cache_at(lab: Lab, folder: Path) -> Iterator[None]:
    """Keep adapters in another folder than the memory's, which is only read."""
    memory = lab.engine.memory
    own, memory.adapters = memory.adapters, AdapterCache(folder)
    try:
        yield
    finally:
        memory.adapters = own


def _engine(lab: Lab, merge: int) -> Engine:
    config = replace(lab.engine.config, reuse=1.0, merge=merge)
    return Engine(lab.engine.model, lab.engine.memory, config, clock=time.process_time)


def _store(lab: Lab, query: int) -> None:
    engine = lab.engine
    bank = engine.bank
    bank.load(0, lab.adapter(query))
    settings, weights = bank.to_peft(0)
    origin = Provenance(
        example_ids=(),
        model=engine.model.fingerprint,
        embedder=engine.memory.embedder.name,
        seed=engine.config.seed,
        recipe=engine.config.recipe(),
    )
    engine.memory.adapters.add(settings, weights, vector=lab.vectors[query], provenance=origin)


def _phases(answers: list[Answer]) -> dict[str, float]:
    """Mean seconds by phase."""
    names = dict.fromkeys(phase for answer in answers for phase in answer.cost.seconds)
    return {name: float(np.mean([answer.cost.seconds.get(name, 0.0) for answer in answers])) for name in names}
