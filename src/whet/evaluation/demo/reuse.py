"""A cache hit: what it saves to reuse the adapter of a similar query, and what it costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np

from whet.control import Meter
from whet.decoding import Sampling, generate, score_text
from whet.engine import Engine
from whet.evaluation.demo.data import Growth
from whet.evaluation.language import Record
from whet.types import Answer

WAYS = ("base", "fresh", "reused")
"""Who answers: the base model, an adapter trained for the query, one trained for the query before it."""


@dataclass(frozen=True)
class Reuse:
    """What came of pairs of similar queries.

    Attributes:
        cosines: of the two queries of each pair.
        threshold: cosine from which on the engine reuses.
        hits: for each pair, whether the second query was answered from the cache.
        records: of the second query of each pair that hit: how it was answered by each of `WAYS`.
    """

    cosines: tuple[float, ...]
    threshold: float
    hits: tuple[bool, ...]
    records: tuple[Record, ...]


def reuse_adapters(engine: Engine, pairs: Sequence[Growth], *, tokens: int, progress: Callable[[int], None]) -> Reuse:
    """Answer the second query of each pair with an empty cache, and again after the first query was answered.

    The adapters in the memory's cache that were trained on its examples are removed, so that each pair meets an empty
    one.

    Args:
        engine: with reuse switched on.
        pairs: similar queries.
        tokens: how many to write as an answer.
        progress: told how many pairs are done.
    """
    assert engine.config.reuse is not None
    sampling = Sampling(max_tokens=tokens)
    cosines, hits = [], []
    records: list[Record] = []
    for done, pair in enumerate(pairs, start=1):
        first, second = engine.memory.embed([pair.first, pair.second])
        _clear(engine)
        fresh = engine.answer(pair.second, sampling=sampling)
        fresh_record = _record(engine, pair, "fresh", fresh)
        _clear(engine)
        engine.answer(pair.first, sampling=sampling)
        reused = engine.answer(pair.second, sampling=sampling)
        cosines.append(float(first @ second))
        hits.append(reused.plan.rung == "reuse")
        if hits[-1]:
            records += [
                _base_record(engine, pair, sampling),
                fresh_record,
                _record(engine, pair, "reused", reused),
            ]
        progress(done)
    _clear(engine)
    return Reuse(tuple(cosines), engine.config.reuse, tuple(hits), tuple(records))


def mean_seconds(reuse: Reuse, way: str) -> float:
    """Mean seconds of a query that was answered in one of `WAYS`; there must have been a hit."""
    return float(np.mean([sum(r.seconds.values()) for r in reuse.records if r.method == way]))


def _clear(engine: Engine) -> None:
    ids, _ = engine.memory.vectors
    engine.memory.adapters.forget(ids)


def _base_record(engine: Engine, pair: Growth, sampling: Sampling) -> Record:
    meter = Meter()
    with meter.phase("generate"):
        generate(engine.model, pair.second, sampling)
    bits = score_text(engine.model, pair.target, given=pair.second).bits_per_byte
    return Record(pair.place, pair.place, "second", "base", 0, bits, None, dict(meter.cost().seconds))


def _record(engine: Engine, pair: Growth, way: str, answer: Answer) -> Record:
    """What the answer cost, and how well what gave it knows how the text goes on; after a rollback that is the base."""
    cached = None if answer.adapter_id is None else engine.memory.adapters.load(answer.adapter_id)
    if cached is not None:
        engine.bank.load_peft(0, *cached)
    with engine.bank.using(0) if cached is not None else nullcontext():
        bits = score_text(engine.model, pair.target, given=pair.second).bits_per_byte
    return Record(pair.place, pair.place, "second", way, 0, bits, None, dict(answer.cost.seconds))
